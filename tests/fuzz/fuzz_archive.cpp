// Items in an archive.

#include "tests/fuzz/listing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mmbatch::fuzz::read_listing(mmbatch::ItemSource::Kind::archive, data, size);
  return 0;
}
