// Arithmetic of the crop frame: rectangles { x, y, width, height } in fractions of the picture.
// `ratio` is the wanted width to height, also in fractions of the picture; 0 means any.

const SMALLEST = 0.05;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// The frame moved, held to the picture.
export function shifted(frame, dx, dy) {
  return {
    ...frame,
    x: clamp(frame.x + dx, 0, 1 - frame.width),
    y: clamp(frame.y + dy, 0, 1 - frame.height),
  };
}

// The frame with the sides moved that `grip` names ("n", "se", ...), held to the picture and to the shape.
export function resized(frame, grip, dx, dy, ratio) {
  let left = frame.x;
  let top = frame.y;
  let right = frame.x + frame.width;
  let bottom = frame.y + frame.height;
  if (grip.includes("w")) left = clamp(left + dx, 0, right - SMALLEST);
  if (grip.includes("e")) right = clamp(right + dx, left + SMALLEST, 1);
  if (grip.includes("n")) top = clamp(top + dy, 0, bottom - SMALLEST);
  if (grip.includes("s")) bottom = clamp(bottom + dy, top + SMALLEST, 1);
  if (!ratio) return { x: left, y: top, width: right - left, height: bottom - top };
  let width = right - left;
  let height = bottom - top;
  if (grip === "n" || grip === "s" || (grip.length === 2 && width / height < ratio)) width = height * ratio;
  else height = width / ratio;
  const middleX = (left + right) / 2;
  const middleY = (top + bottom) / 2;
  const roomX = grip.includes("w") ? right : grip.includes("e") ? 1 - left : 2 * Math.min(middleX, 1 - middleX);
  const roomY = grip.includes("n") ? bottom : grip.includes("s") ? 1 - top : 2 * Math.min(middleY, 1 - middleY);
  const shrink = Math.min(1, roomX / width, roomY / height);
  width *= shrink;
  height *= shrink;
  if (grip.includes("w")) left = right - width;
  else if (!grip.includes("e")) left = middleX - width / 2;
  if (grip.includes("n")) top = bottom - height;
  else if (!grip.includes("s")) top = middleY - height / 2;
  return { x: left, y: top, width, height };
}

// A frame of the wanted shape around the same middle, as large as the present one where there is room.
export function shaped(frame, ratio) {
  let width = Math.sqrt(frame.width * frame.height * ratio);
  let height = width / ratio;
  const fit = Math.min(1, 1 / width, 1 / height);
  width *= fit;
  height *= fit;
  return {
    x: clamp(frame.x + frame.width / 2 - width / 2, 0, 1 - width),
    y: clamp(frame.y + frame.height / 2 - height / 2, 0, 1 - height),
    width,
    height,
  };
}

// The frame of a picture that is turned clockwise, or mirrored left and right.
export function turnedRight({ x, y, width, height }) {
  return { x: clamp(1 - y - height, 0, 1), y: x, width: height, height: width };
}

export function mirrored(frame) {
  return { ...frame, x: clamp(1 - frame.x - frame.width, 0, 1) };
}
