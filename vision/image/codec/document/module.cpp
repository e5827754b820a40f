#include "vision/image/codec/document/documents.h"

extern "C" __attribute__((visibility("default"))) void mmbatch_read_document_1(
    const mmbatch::DocumentRequest& request, mmbatch::DocumentFacts& facts, mmbatch::Image& image,
    mmbatch::CodecResult& result) {
  using namespace mmbatch;
  using Reader = void(const DocumentRequest&, DocumentFacts&, Image&);
  Reader* const read = [&]() -> Reader* {
    switch (request.file.format) {
      case ImageFormat::pdf:
        return codec::read_pdf;
      case ImageFormat::tiff:
        return codec::read_tiff_pages;
      case ImageFormat::gif:
        return codec::read_gif_frames;
      case ImageFormat::webp:
        return codec::read_webp_frames;
      default:
        return nullptr;
    }
  }();
  if (read == nullptr) {
    result = {CodecResult::Outcome::unsupported, "a format without pages"};
    return;
  }
  result = codec::guarded([&](const CodecRequest&, Image& drawn) { read(request, facts, drawn); },
                          request.file, image);
}

static_assert(std::is_same_v<decltype(mmbatch_read_document_1), mmbatch::ReadDocument>);
