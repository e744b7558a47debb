"""Programs that are sent to the hosts of a chain and run there. Nothing here is imported on this machine."""
