#include "pipeline/stages/encode_image.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

namespace mmbatch {
namespace {

/// The first half of a SHA-256 in hexadecimal: what tells images apart in the cache of prefixes.
std::uint64_t short_key(const std::string& sha256) {
  return std::stoull(sha256.substr(0, 16), nullptr, 16);
}

std::int64_t microseconds_since(Clock::time_point begin) {
  return static_cast<std::int64_t>(milliseconds_since(begin) * 1000);
}

}  // namespace

/// Gathers the images of one item, which may come from several threads, and hands them on when all are there.
struct EncodeImage::Collector {
  Ticket ticket;
  Done done;
  Clock::time_point begin = Clock::now();
  std::mutex mutex;
  std::vector<EncodedImage> images;
  std::optional<Error> error;
  std::size_t missing;

  Collector(Ticket ticket_, Done done_)
      : ticket(std::move(ticket_)),
        done(std::move(done_)),
        images(ticket->item.images.size()),
        missing(images.size()) {}

  void arrived(std::size_t index, const Result<Features>& features) {
    {
      const std::lock_guard lock(mutex);
      if (features)
        images[index] = {features.value(), short_key(ticket->image_sha256[index])};
      else
        error = features.error();
      if (--missing > 0) return;
    }
    if (error)
      done({ticket, *error, milliseconds_since(begin)});
    else
      done({ticket, std::move(images), milliseconds_since(begin)});
  }
};

EncodeImage::EncodeImage(const Model& model, EncodeImageOptions options)
    : model_(model), options_(std::move(options)), cache_(options_.cache_bytes) {
  if (model_.images() != nullptr) load_image_decoder();
}

void EncodeImage::operator()(Ticket ticket, Done done) {
  if (ticket->settled() || ticket->item.images.empty()) {
    return done({std::move(ticket), std::vector<EncodedImage>{}, 0.0});
  }
  const auto collector = std::make_shared<Collector>(ticket, std::move(done));
  for (std::size_t i = 0; i < ticket->item.images.size(); ++i) {
    const std::string& key = ticket->image_sha256[i];
    const auto ready = [collector, i](const Result<Features>& features) { collector->arrived(i, features); };
    if (cache_.request(key, ready)) prepare(key, ticket->item.images[i]);
  }
  encode_waiting();
}

void EncodeImage::prepare(const std::string& key, const Item::Image& image) {
  const auto begin = Clock::now();
  Result<PixelValues> pixels = guarded(Stage::image, [&] {
    const std::vector<unsigned char> bytes = read_image(image, options_.media);
    return model_.images()->preprocess(decode_image(std::as_bytes(std::span(bytes)), options_.image));
  });
  preprocess_us_ += microseconds_since(begin);
  if (!pixels) return cache_.finish(key, pixels.error());
  const std::lock_guard lock(mutex_);
  waiting_.push_back({key, std::move(pixels.value())});
}

void EncodeImage::encode_waiting() {
  for (;;) {
    std::vector<Waiting> batch;
    {
      const std::lock_guard lock(mutex_);
      if (encoding_ || waiting_.empty()) return;
      encoding_ = true;
      const auto count = static_cast<std::ptrdiff_t>(std::min(options_.batch, waiting_.size()));
      batch.assign(std::move_iterator(waiting_.begin()), std::move_iterator(waiting_.begin() + count));
      waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    }
    encode(std::move(batch));
    const std::lock_guard lock(mutex_);
    encoding_ = false;
  }
}

void EncodeImage::encode(std::vector<Waiting> batch) {
  const auto begin = Clock::now();
  std::vector<const PixelValues*> images;
  for (const Waiting& waiting : batch) images.push_back(&waiting.pixels);
  const auto encoded =
      guarded(Stage::image, [&] { return model_.images()->encode(images, scratch_).projected; });
  encode_us_ += microseconds_since(begin);
  encoded_ += batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (encoded)
      cache_.finish(batch[i].key, encoded.value()[i]);
    else
      cache_.finish(batch[i].key, encoded.error());
  }
}

}  // namespace mmbatch
