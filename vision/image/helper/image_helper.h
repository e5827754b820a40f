#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "vision/image/image.h"
#include "vision/image/image_decode.h"
#include "vision/image/image_header.h"

namespace mmbatch {

/// The argument with which the program serves as an image helper instead of reading its command line.
inline constexpr std::string_view kImageHelperArgument = "--serve-as-image-helper";

/// Decodes an image in a helper process: this program once more, which gets the encoded bytes and a place for
/// the pixels in shared memory, and may not open a file, start a program, speak to the network, take more
/// memory or time than the image explains. Helpers are kept for the next image and replaced when they die.
/// What happens to a helper over an image is that image's fault alone. Thread-safe; as many helpers as
/// callers.
/// @return upright  @throws ItemError as decode_image()
Image decode_in_helper(std::span<const std::byte> encoded, const ImageHeader& header,
                       const ImageLimits& limits);

/// The program that helpers run: the environment's MMBATCH_IMAGE_HELPER, this program when it is mmbatch,
/// else the mmbatch beside it, in the folder above it or in ../bin.
/// @throws ItemError unsupported that names the places where it was looked for
std::filesystem::path image_helper_program();

/// The life of a helper process, up to the end of its caller.  @return its exit status
int serve_as_image_helper();

}  // namespace mmbatch
