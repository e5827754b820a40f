#include <new>
#include <utility>

#include "vision/image/codec/codecs.h"

namespace mmbatch::codec {

CodecResult guarded(const std::function<Decoder>& decoder, const CodecRequest& request, Image& image) {
  using Outcome = CodecResult::Outcome;
  const auto said = [](Outcome outcome, std::string problem) {
    for (char& c : problem) {
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7F') c = ' ';
    }
    if (problem.empty()) problem = "it cannot be decoded";
    return CodecResult{outcome, std::move(problem)};
  };
  try {
    decoder(request, image);
    return {Outcome::decoded, ""};
  } catch (const Unsupported& e) {
    return said(Outcome::unsupported, e.what());
  } catch (const Absent& e) {
    return said(Outcome::absent, e.what());
  } catch (const std::bad_alloc&) {
    return said(Outcome::damaged, "there is not enough memory to decode it");
  } catch (const std::exception& e) {
    return said(Outcome::damaged, e.what());
  }
}

void cmyk_to_rgb(const unsigned char* cmyk, std::size_t count, unsigned char* rgb) {
  for (const unsigned char* const end = cmyk + 4 * count; cmyk != end; cmyk += 4, rgb += 3) {
    const unsigned rest = 255u - cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const unsigned product = cmyk[c] * rest + 128;  // divided by 255 and rounded
      rgb[c] = static_cast<unsigned char>(rest - (((product >> 8) + product) >> 8));
    }
  }
}

}  // namespace mmbatch::codec
