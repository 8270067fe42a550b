"""Where models run: placed on devices, fed in batches, held to the memory that there is."""
