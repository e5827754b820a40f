#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/image/image_part.h"
#include "vision/image/image.h"
#include "vision/image/image_decode.h"
#include "vision/image/image_header.h"

namespace mmbatch {

/// Files that hold several pictures: the pages of PDF and TIFF files, the frames of GIF and WebP animations,
/// the moments of videos. They are opened in helper processes (image/helper/), so that a hostile one costs no
/// more than its item. A file of one picture is a document of one page. All throw ItemError as
/// decode_image(); a page or moment that is not there, a document that asks for a password and a damaged one
/// are told apart in the message. All are thread-safe.

struct DocumentInfo {
  std::uint32_t pages = 1;
  double seconds = 0;  // of a video; 0 for others
};

enum class DocumentKind { pages, video };
DocumentInfo read_document_info(std::span<const std::byte> encoded, DocumentKind kind,
                                const ImageLimits& limits = {});

/// Whether files of a format may hold several pictures.
bool comes_in_parts(ImageFormat format);

/// What is known of a part before it is decoded. Of an empty one as read_image_header().
ImageHeader read_part_header(std::span<const std::byte> encoded, const ImagePart& part,
                             const ImageLimits& limits = {});

/// The part's pixels, upright. Of an empty one as decode_image().
/// @param header what read_part_header() gave
Image decode_part(std::span<const std::byte> encoded, const ImagePart& part, const ImageHeader& header,
                  const ImageLimits& limits = {});

}  // namespace mmbatch
