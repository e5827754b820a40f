#pragma once

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {

// Files of several pictures, each format in the file of its name. All throw Damage, Unsupported or
// std::bad_alloc.

void read_pdf(const DocumentRequest& request, DocumentFacts& facts, Image& image);
void read_tiff_pages(const DocumentRequest& request, DocumentFacts& facts, Image& image);
void read_gif_frames(const DocumentRequest& request, DocumentFacts& facts, Image& image);
void read_webp_frames(const DocumentRequest& request, DocumentFacts& facts, Image& image);
void read_video(const DocumentRequest& request, DocumentFacts& facts, Image& image);

/// Whether the page is there.  @throws Damage that says how many there are
void check_page(std::uint32_t page, std::uint32_t pages, const char* what);
/// An image of that size.  @throws Damage when it has more pixels than are allowed
Image canvas(const CodecRequest& file, std::int64_t width, std::int64_t height);

}  // namespace mmbatch::codec
