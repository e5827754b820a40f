#include "pipeline/stages/encode_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/base/memory_limits.h"
#include "engine/base/sha256.h"
#include "fusion/family.h"
#include "jobs/item/images/image_budget.h"
#include "pipeline/stages/images/decode_memory.h"
#include "vision/document/document.h"
#include "vision/image/image_header.h"

namespace mmbatch {
namespace {

/// What is decoded in two ways, or resized to two sizes, is two images; so are two pages.
std::string cache_key(const Ticket& ticket, std::size_t image) {
  const char* way = ticket.truncated_images == TruncatedImages::accept ? " as far as it goes" : "";
  const ImageBudget& budget = ticket.settings->image_budget;
  return ticket.image_sha256[image] + way + (budget.empty() ? "" : " " + key_text(budget)) +
         key_text(ticket.item->images[image].part);
}

/// Frames of a video are resized by how many there are.
std::string cache_key(const Ticket& ticket, const PictureGroup& group) {
  std::string key = cache_key(ticket, group.images.front());
  if (group.frames == 0) return key;
  for (std::size_t i = 1; i < group.images.size(); ++i) key += " and " + cache_key(ticket, group.images[i]);
  return key + fmt::format(" of {} frames", group.frames);
}

/// What tells the rows of a ticket's image apart in the cache of prefixes.
PrefixKey prefix_key(const Ticket& ticket, std::size_t image) {
  if (ticket.settings->image_budget.empty() && ticket.item->images[image].part.empty())
    return key_of_digest(ticket.image_sha256[image]);
  return key_of_digest(sha256_hex(cache_key(ticket, image)));
}

PrefixKey prefix_key(const Ticket& ticket, const PictureGroup& group) {
  if (group.frames == 0) return prefix_key(ticket, group.images.front());
  return key_of_digest(sha256_hex(cache_key(ticket, group)));
}

std::size_t bytes_of(const PixelValues& pixels) {
  std::size_t bytes = 0;
  for (const Patches& tile : pixels.tiles) bytes += tile.values.bytes();
  return bytes;
}

std::size_t patches_of(const PixelValues& pixels) {
  std::size_t patches = 0;
  for (const Patches& tile : pixels.tiles) patches += tile.grid.count();
  return patches;
}

/// As many images in one pass of the tower as have so many patches together: large ones take memory, and gain
/// nothing from each other.
std::vector<Features> encode_in_parts(const ImageStage& stage, std::span<const PixelValues* const> images,
                                      Scratch& scratch) {
  constexpr std::size_t kMostPatches = 16384;
  std::vector<Features> all;
  for (std::size_t begin = 0; begin < images.size();) {
    std::size_t end = begin + 1, patches = patches_of(*images[begin]);
    for (; end < images.size() && patches + patches_of(*images[end]) <= kMostPatches; ++end)
      patches += patches_of(*images[end]);
    try {
      const std::vector<Features> part = stage.encode(images.subspan(begin, end - begin), scratch).projected;
      all.insert(all.end(), part.begin(), part.end());
    } catch (const std::bad_alloc&) {
      throw ItemError(ErrorCode::image_too_large,
                      fmt::format("out of memory: the vision tower cannot take {} patches at once; lower "
                                  "image_tokens or max_pixels",
                                  patches));
    }
    begin = end;
  }
  return all;
}

}  // namespace

EncodeImage::EncodeImage(const Model& model, const EncodeImageOptions& options, ImageFiles& files,
                         Timeline& timeline)
    : model_(model),
      limits_(options.image),
      available_(memory_at_most()),
      files_(files),
      encoder_(encoder_options(options), timeline) {
  if (model_.images() == nullptr) return;
  load_image_decoder();
  const Config config = read_image_processor(*model.files().weights);
  pads_ = pads_to_square(config) && config.flag("do_pad", false);
}

BatchEncoder<EncodeImage::Prepared>::Options EncodeImage::encoder_options(
    const EncodeImageOptions& options) const {
  return {.cache_bytes = options.cache_bytes,
          .batch = options.batch,
          .encode =
              [this](std::span<const Prepared* const> images, Scratch& scratch) {
                std::vector<const PixelValues*> pixels;
                for (const Prepared* image : images) pixels.push_back(&image->pixels);
                return encode_in_parts(*model_.images(), pixels, scratch);
              },
          .preparing = Stage::preprocess,
          .encoding = Stage::encode_image};
}

void EncodeImage::operator()(const TicketPtr& ticket, Done<Branch<Images>> done) {
  const std::vector<PictureGroup> groups = picture_groups(*ticket->item, model_.spec());
  std::vector<BatchEncoder<Prepared>::Wanted> wanted;
  for (const PictureGroup& group : groups)
    wanted.push_back({cache_key(*ticket, group), [this, ticket, group] { return prepare(*ticket, group); },
                      name_in_messages(*ticket->item, group)});
  encoder_(std::move(wanted), [this, ticket, groups,
                               done = std::move(done)](Result<std::vector<Features>> features) {
    // Another item that wanted the image ran out of time over it.
    const bool again = !features && features.error().code == ErrorCode::timeout && !ticket->deadline.passed();
    if (again) return (*this)(ticket, done);
    files_.drop(ticket->image_sha256);
    if (!features) return done(Failed{Stage::encode_image, features.error()});
    Images images;
    for (std::size_t i = 0; i < features.value().size(); ++i) {
      images.push_back({std::move(features.value()[i]), prefix_key(*ticket, groups[i]),
                        frame_place(*ticket->item, model_.spec(), i)});
    }
    done(made(std::move(images)));
  });
}

PreparationMemory EncodeImage::preparation(const Ticket& ticket, const PictureGroup& group,
                                           const ImageHeader& header) const {
  const bool turned = header.orientation >= 5;
  const auto width = static_cast<int>(turned ? header.height : header.width);
  const auto height = static_cast<int>(turned ? header.width : header.height);
  const ImageBudget& budget = ticket.settings->image_budget;
  const auto memory = guarded([&] {
    return group.frames > 0 ? model_.files().videos().memory(
                                  {.width = width, .height = height, .shown = group.frames}, budget)
                            : model_.files().images->memory(width, height, budget);
  });
  // What cannot be resized is told once it is decoded: damage comes first.
  if (!memory) return {};
  check_preparation(memory.value(), {width, height}, available_);
  return memory.value();
}

Image EncodeImage::decode(const Ticket& ticket, const PictureGroup& group, std::size_t image,
                          MemoryBudget::Lease& memory) const {
  ImageFiles::Bytes file =
      files_.take(ticket.item->images[image], ticket.image_sha256[image], ticket.deadline);
  memory = std::move(file.memory);
  const auto encoded = std::as_bytes(std::span(file.bytes));
  ImageLimits limits = limits_;
  limits.truncated = ticket.truncated_images;
  const ImagePart& part = ticket.item->images[image].part;
  const ImageHeader header = read_part_header(encoded, part, limits);
  const std::size_t needed = decode_memory(encoded, part, header);
  const std::size_t picture = 3 * static_cast<std::size_t>(header.width * header.height);
  const PreparationMemory preparing = preparation(ticket, group, header);
  memory.grow(std::max(needed, picture + (pads_ ? padding_memory(header) : 0) + preparing.preparing));
  ticket.deadline.check();
  try {
    return decode_part(encoded, part, header, limits);
  } catch (const std::bad_alloc&) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("out of memory: to decode {} x {} pixels takes about {} MiB", header.width,
                                header.height, (needed >> 20) + 1));
  }
}

EncodeImage::Prepared EncodeImage::prepare(const Ticket& ticket, const PictureGroup& group) const {
  const ImageBudget& budget = ticket.settings->image_budget;
  Prepared prepared;
  std::vector<Image> frames;
  std::vector<MemoryBudget::Lease> leases;  // of the frames before
  std::size_t bytes = 0;                    // of the frames that prepared.memory is for
  for (std::size_t i = 0; i < group.images.size(); ++i) {
    // What waits for the next frame is idle, or this thread might wait for itself.
    if (i > 0) {
      bytes += frames.back().rgb.size();
      prepared.memory.settle(bytes);
    }
    if (i > 0 && group.images[i] == group.images[i - 1]) {
      const Image& last = frames.back();
      const ImageHeader same{.width = last.width, .height = last.height};
      prepared.memory.grow(last.rgb.size() + preparation(ticket, group, same).preparing);
      frames.push_back(frames.back());
      continue;
    }
    if (i > 0) leases.push_back(std::move(prepared.memory));
    bytes = 0;
    frames.push_back(decode(ticket, group, group.images[i], prepared.memory));
    ticket.deadline.check();
  }
  try {
    prepared.pixels = group.frames > 0 ? model_.files().videos().prepare(frames, group.frames, budget)
                                       : model_.files().images->prepare(frames.front(), budget);
  } catch (const std::bad_alloc&) {
    const Image& first = frames.front();
    const ImageHeader header{.width = first.width, .height = first.height};
    throw ItemError(
        ErrorCode::image_too_large,
        fmt::format("out of memory: to resize {} x {} pixels and make patches of them takes about {} MiB",
                    first.width, first.height, (preparation(ticket, group, header).preparing >> 20) + 1));
  }
  prepared.memory.settle(bytes_of(prepared.pixels));
  return prepared;
}

}  // namespace mmbatch
