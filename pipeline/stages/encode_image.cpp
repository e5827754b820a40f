#include "pipeline/stages/encode_image.h"

#include <utility>

namespace mmbatch {
namespace {

/// The first half of a SHA-256 in hexadecimal: what tells images apart in the cache of prefixes.
std::uint64_t short_key(const std::string& sha256) {
  return std::stoull(sha256.substr(0, 16), nullptr, 16);
}

BatchEncoder<PixelValues>::Options encoder_options(const Model& model, const EncodeImageOptions& options) {
  return {options.cache_bytes, options.batch,
          [&model](std::span<const PixelValues* const> images, Scratch& scratch) {
            return model.images()->encode(images, scratch).projected;
          },
          Activity::preprocess, Activity::encode_image};
}

}  // namespace

EncodeImage::EncodeImage(const Model& model, EncodeImageOptions options, Timeline& timeline)
    : model_(model), options_(std::move(options)), encoder_(encoder_options(model, options_), timeline) {
  if (model_.images() != nullptr) load_image_decoder();
}

void EncodeImage::operator()(Ticket ticket, Done done) {
  if (ticket->settled()) return done({std::move(ticket), std::vector<EncodedImage>{}, 0.0});
  std::vector<BatchEncoder<PixelValues>::Wanted> wanted;
  for (std::size_t i = 0; i < ticket->item->images.size(); ++i) {
    wanted.push_back({ticket->image_sha256[i],
                      [this, ticket, i] { return prepare(ticket->item->images[i], ticket->deadline); }});
  }
  encoder_(std::move(wanted), [this, ticket, done = std::move(done),
                               begin = Clock::now()](Result<std::vector<Features>> features) {
    const double milliseconds = milliseconds_since(begin);
    if (!features) {
      // Another item that wanted the image ran out of time over it.
      const bool of_another = features.error().code == ErrorCode::timeout && !ticket->deadline.passed();
      if (of_another) return (*this)(ticket, done);
      return done({ticket, features.error(), milliseconds});
    }
    std::vector<EncodedImage> images;
    for (std::size_t i = 0; i < features.value().size(); ++i) {
      images.push_back({std::move(features.value()[i]), short_key(ticket->image_sha256[i])});
    }
    done({ticket, std::move(images), milliseconds});
  });
}

PixelValues EncodeImage::prepare(const Item::Image& image, const Deadline& deadline) const {
  MediaLimits limits = options_.media;
  limits.deadline = deadline;
  const std::vector<unsigned char> bytes = read_image(image, limits);
  deadline.check();
  const auto decoded = decode_image(std::as_bytes(std::span(bytes)), options_.image);
  deadline.check();
  return model_.images()->preprocess(decoded);
}

}  // namespace mmbatch
