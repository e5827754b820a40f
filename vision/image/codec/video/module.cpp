#include "vision/image/codec/document/documents.h"

extern "C" __attribute__((visibility("default"))) void mmbatch_read_document_1(
    const mmbatch::DocumentRequest& request, mmbatch::DocumentFacts& facts, mmbatch::Image& image,
    mmbatch::CodecResult& result) {
  using namespace mmbatch;
  result =
      codec::guarded([&](const CodecRequest&, Image& drawn) { codec::read_video(request, facts, drawn); },
                     request.file, image);
}

static_assert(std::is_same_v<decltype(mmbatch_read_document_1), mmbatch::ReadDocument>);
