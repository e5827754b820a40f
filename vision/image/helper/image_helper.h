#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "vision/image/helper/messages.h"
#include "vision/image/image.h"
#include "vision/image/image_decode.h"
#include "vision/image/image_header.h"

namespace mmbatch {

/// The argument with which the program serves as a helper instead of reading its command line.
std::string_view helper_argument(helper::Kind kind);
/// The kind of helper that the command line asks for, if any.
std::optional<helper::Kind> helper_asked_for(int argc, const char* const* argv);

/// Decodes an image in a helper process: this program once more, which gets the encoded bytes and a place for
/// the pixels in shared memory, and may not open a file, start a program, speak to the network, take more
/// memory or time than the image explains. Helpers are kept for the next image and replaced when they die.
/// What happens to a helper over an image is that image's fault alone. Thread-safe; as many helpers as
/// callers.
/// @return upright  @throws ItemError as decode_image()
Image decode_in_helper(std::span<const std::byte> encoded, const ImageHeader& header,
                       const ImageLimits& limits);

/// One exchange with a helper process; the like of it serves decode_in_helper().
struct HelperCall {
  helper::Kind kind = helper::Kind::images;
  helper::Request request;  // but for its sizes
  std::span<const std::byte> encoded;
  std::uint64_t capacity = 0;  // bytes of pixels, 0: none are wanted
  std::uint64_t memory = 0;    // that the helper may take for it
  std::chrono::milliseconds time{};
};
struct HelperAnswer {
  helper::Reply reply;
  std::vector<std::uint8_t> rgb;  // [height, width, 3], where pixels were wanted
};
/// @throws ItemError image_unreadable, unsupported
HelperAnswer call_helper(const HelperCall& call);

/// The program that helpers run: the environment's MMBATCH_IMAGE_HELPER, this program when it is mmbatch,
/// else the mmbatch beside it, in the folder above it or in ../bin.
/// @throws ItemError unsupported that names the places where it was looked for
std::filesystem::path image_helper_program();

/// The life of a helper process, up to the end of its caller.  @return its exit status
int serve_as_helper(helper::Kind kind);

}  // namespace mmbatch
