namespace mmbatch {}
