#include "pipeline/quality/quality_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "jobs/listing/item_reader.h"
#include "jobs/media/media.h"
#include "jobs/text/clock.h"
#include "pipeline/stages/encode_text.h"
#include "vision/document/document.h"
#include "vision/image/image_decode.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxNewTokens = 16;

std::vector<QualityItem> from_manifest(const PromptSource& source, const ModelFiles& files) {
  const std::shared_ptr<const Manifest>& manifest = source.manifest;
  const EncodeText encode_text(files, *manifest, read_time(utc_now()).value());
  const auto reader = open_items(*manifest);
  std::vector<QualityItem> items;
  std::string first_fault;
  while (items.size() < source.items) {
    const std::optional<ReadItem> read = reader->next();
    if (!read) break;
    if (read->error) {
      if (first_fault.empty()) first_fault = ": " + read->error->with_place().message;
      continue;
    }
    const Item& item = *read->item;
    const auto made = guarded([&] {
      QualityItem made;
      made.ids = encode_text.ids(item);
      made.images = [images = item.images] {
        std::vector<Image> decoded;
        for (const Item::Image& image : images) {
          const std::vector<unsigned char> bytes = read_image(image, {});
          const auto encoded = std::as_bytes(std::span(bytes));
          decoded.push_back(decode_part(encoded, image.part, read_part_header(encoded, image.part)));
        }
        return decoded;
      };
      made.images();  // those that cannot be read are passed over
      made.references = item.references;
      const GenerationConfig generation = generation_of(*manifest, item, {files.generation, {}});
      made.max_new_tokens = std::min(kMaxNewTokens, static_cast<std::size_t>(generation.max_new_tokens));
      return made;
    });
    if (made)
      items.push_back(made.value());
    else if (first_fault.empty())
      first_fault = fmt::format(": {}: {}", item.where, made.error().message);
  }
  if (items.empty()) {
    throw UsageError(fmt::format("{}: no item can be computed{}", manifest->file.string(), first_fault));
  }
  return items;
}

/// Stripes and discs in the colours of the number.
Image made_up_picture(std::size_t number) {
  constexpr int kSide = 224;
  Image image(kSide, kSide);
  const int radius = 30 + static_cast<int>(number % 4) * 20;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int dx = x - 100, dy = y - 120;
      const bool inside = dx * dx + dy * dy < radius * radius;
      for (std::size_t c = 0; c < 3; ++c) {
        const bool bright = (number >> c & 1) != 0;
        const int ground = 60 + (x / 8 % 2) * 20 + y / 4;
        image.row(y)[static_cast<std::size_t>(x) * 3 + c] =
            static_cast<std::uint8_t>(inside ? (bright ? 230 : 20) : ground);
      }
    }
  }
  return image;
}

std::vector<QualityItem> made_up(const PromptSource& source, const ModelFiles& files) {
  constexpr const char* kQuestions[] = {"what is in the image?", "what color is the shape?",
                                        "how many things are there?", "is there a red shape?",
                                        "describe the image in one sentence."};
  const bool sees = files.spec.vision.has_value();
  const std::size_t images = sees ? 1 : 0;
  const Prompting prompting(files);
  std::vector<QualityItem> items(source.items);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Message question{Role::user, kQuestions[i % std::size(kQuestions)], images};
    items[i].ids = prompting.encode(prompting.render(files.turn_format, {&question, 1}), images);
    items[i].images = [images, i] { return std::vector<Image>(images, made_up_picture(i)); };
    items[i].max_new_tokens = kMaxNewTokens;
  }
  return items;
}

}  // namespace

std::vector<QualityItem> quality_items(const PromptSource& source, const ModelFiles& files) {
  return source.manifest ? from_manifest(source, files) : made_up(source, files);
}

}  // namespace mmbatch
