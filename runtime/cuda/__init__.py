"""A CUDA GPU as a device, over the driver API (cuda-python). The driver is imported inside functions: importing this needs no GPU."""
