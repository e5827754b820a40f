#include "jobs/listing/document/document_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/base/text/utf8.h"
#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/document/document.h"

namespace mmbatch {
namespace {

constexpr int kDpi = 144;                        // twice the size of a page on a screen
constexpr std::int64_t kPagePixels = 4'000'000;  // of a letter page at about 200 dpi
constexpr std::uint32_t kFrames = 8;

[[noreturn]] void refuse(const std::string& problem) {
  throw ItemError(ErrorCode::invalid_value, problem);
}

/// The pages that ranges name, in their order, one after the other.
class Pages {
 public:
  Pages(std::vector<PageRange> ranges, std::uint32_t there) : ranges_(std::move(ranges)) {
    for (PageRange& range : ranges_) {
      if (!range.last) range.last = there;
    }
    page_ = ranges_.front().first;
  }

  std::optional<std::uint32_t> next() {
    while (range_ < ranges_.size() && page_ > *ranges_[range_].last) {
      if (++range_ < ranges_.size()) page_ = ranges_[range_].first;
    }
    if (range_ == ranges_.size()) return std::nullopt;
    return page_++;
  }

 private:
  std::vector<PageRange> ranges_;
  std::size_t range_ = 0;
  std::uint32_t page_ = 1;
};

/// The content's parts with so many pictures in place of the one that stands for the file.
std::string with_pictures(const std::string& parts, std::size_t pictures) {
  const std::string part(kImagePart);
  std::string all = part;
  for (std::size_t i = 1; i < pictures; ++i) all += "," + part;
  // Texts in it have their quotes escaped: none looks like a part.
  return replace_all(parts, part, all);
}

class DocumentItems : public ItemReader {
 public:
  DocumentItems(std::unique_ptr<ItemReader> items, PartsCounter count)
      : items_(std::move(items)), count_(std::move(count)) {}

  std::optional<ReadItem> next() override {
    std::optional<ReadItem> read = next_shown();
    if (!read || read->item->position == ++position_) return read;
    // Pages are items of their own, with places of their own among the others.
    auto item = std::make_shared<Item>(*read->item);
    item->position = position_;
    read->item = std::move(item);
    return read;
  }

 private:
  std::optional<ReadItem> next_shown() {
    for (;;) {
      if (pages_) {
        if (const auto page = pages_->next()) return page_item(*page);
        pages_.reset();
      }
      std::optional<ReadItem> read = items_->next();
      if (!read || read->error || read->item->shows == Item::Shows::image) return read;
      whole_ = std::move(*read);
      try {
        if (auto shown = begin()) return shown;
      } catch (const ItemError& e) {
        ReadItem failed = std::exchange(whole_, {});
        failed.error = ReadError{e.code(), e.what(), failed.item->where};
        return failed;
      }
    }
  }

  const DocumentSettings& settings() const { return *whole_.item->document_settings; }
  const Item::Image& file() const { return whole_.item->images.front(); }

  FileParts count(Item::Shows shows) const {
    if (!count_)
      refuse(fmt::format("{}: what it holds is not known: name the pages or times", file().written));
    return count_(file(), shows);
  }

  /// One item with all that is shown, or nothing where each page is one.
  std::optional<ReadItem> begin() {
    if (whole_.item->shows == Item::Shows::video) return with_images(frames());
    std::vector<PageRange> ranges = settings().pages.value_or(std::vector<PageRange>{{}});
    const bool open =
        std::any_of(ranges.begin(), ranges.end(), [](const PageRange& one) { return !one.last; });
    const std::uint32_t there = open ? count(Item::Shows::pages).pages : 0;
    if (there > kMostPages)
      refuse(fmt::format("{}: has {} pages: say which, at most {}", file().written, there, kMostPages));
    for (const PageRange& range : ranges) {
      if (!range.last && range.first > there) {
        throw ItemError(ErrorCode::image_unreadable, fmt::format("{}: there is no page {}: it has {}",
                                                                 file().written, range.first, there));
      }
    }
    Pages pages(std::move(ranges), there);
    if (settings().pages_as.value_or(PagesAs::items) == PagesAs::items) {
      pages_ = std::move(pages);
      return std::nullopt;
    }
    std::vector<Item::Image> images;
    while (const auto page = pages.next()) {
      images.push_back(page_image(*page));
      if (images.size() > kMostParts) {
        refuse(
            fmt::format("{}: more than {} pages for one item: say which with 'pages', or 'pages_as: items'",
                        file().written, kMostParts));
      }
    }
    return with_images(std::move(images));
  }

  Item::Image page_image(std::uint32_t page) const {
    Item::Image image = file();
    image.written += fmt::format("#page={}", page);
    image.part.page = page;
    image.part.dpi = settings().dpi.value_or(kDpi);
    image.part.pixels = settings().page_pixels.value_or(kPagePixels);
    return image;
  }

  /// The moments of a video; each of several equal stretches is shown at its middle.
  std::vector<Item::Image> frames() {
    std::vector<double> times;
    length_ = 0;
    if (settings().times) {
      times = *settings().times;
    } else {
      const double seconds = count(Item::Shows::video).seconds;
      if (!(seconds > 0 && seconds < 1e6))
        refuse(fmt::format("{}: does not say how long it is: give 'times'", file().written));
      length_ = seconds;
      const double wanted =
          settings().fps ? std::ceil(seconds * *settings().fps - 1e-9) : settings().frames.value_or(kFrames);
      if (wanted > kMostParts) {
        refuse(fmt::format("{}: {} frames of {:.1f} s: at most {} are shown", file().written, wanted, seconds,
                           kMostParts));
      }
      const auto number = static_cast<std::uint32_t>(std::max(1.0, wanted));
      for (std::uint32_t i = 0; i < number; ++i)
        times.push_back(settings().fps ? i / *settings().fps : (i + 0.5) * seconds / number);
    }
    std::vector<Item::Image> images;
    for (double& time : times) {
      time = std::round(time * 1e6) / 1e6;
      Item::Image image = file();
      image.written += fmt::format("#t={}", time);
      image.part.seconds = time;
      images.push_back(std::move(image));
    }
    times_ = fmt::format("[{}]", fmt::join(times, ", "));
    return images;
  }

  std::shared_ptr<Item> shown_item() const {
    auto item = std::make_shared<Item>(*whole_.item);
    item->shows = Item::Shows::image;
    item->document_settings.reset();
    return item;
  }

  ReadItem page_item(std::uint32_t page) const {
    auto item = shown_item();
    item->id += fmt::format("#page={}", page);
    item->page = page;
    item->images = {page_image(page)};
    return {std::move(item), std::nullopt};
  }

  ReadItem with_images(std::vector<Item::Image> images) {
    auto item = shown_item();
    const std::size_t more = images.size() - 1;
    item->frame_times = std::exchange(times_, {});
    if (!item->frame_times.empty() && settings().video_as != VideoAs::images) item->video_length = length_;
    item->images = std::move(images);
    if (more > 0 && !item->messages.empty()) {
      const auto shown = std::find_if(item->messages.begin(), item->messages.end(),
                                      [](const Item::Message& message) { return message.images > 0; });
      if (shown != item->messages.end()) {
        shown->images += more;
        shown->parts = with_pictures(shown->parts, more + 1);
      }
    }
    whole_ = {};
    return {std::move(item), std::nullopt};
  }

  std::unique_ptr<ItemReader> items_;
  PartsCounter count_;
  ReadItem whole_;              // the item whose document is shown
  std::optional<Pages> pages_;  // that are still to come
  std::string times_;           // of the frames, as JSON
  double length_ = 0;           // of the video, in seconds; 0: not asked for
  std::uint64_t position_ = 0;  // of the last item
};

}  // namespace

std::unique_ptr<ItemReader> show_documents(std::unique_ptr<ItemReader> items, PartsCounter count) {
  return std::make_unique<DocumentItems>(std::move(items), std::move(count));
}

}  // namespace mmbatch
