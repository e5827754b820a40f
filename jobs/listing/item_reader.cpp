#include "jobs/listing/item_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/batch/openai_batch.h"
#include "jobs/item/item_parser.h"
#include "jobs/listing/id_set.h"
#include "jobs/listing/records.h"
#include "jobs/listing/vqa_files.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

std::unique_ptr<RecordReader> open_records(const Job& job, const std::filesystem::path& manifest_folder) {
  const std::string name = job.source.path.string();
  switch (job.source.kind) {
    case ItemSource::Kind::jsonl:
      return open_jsonl(name);
    case ItemSource::Kind::json:
      return open_json(name);
    case ItemSource::Kind::csv:
      return open_csv(name);
    case ItemSource::Kind::glob:
      return open_glob(name, job.image_root.empty() ? manifest_folder : job.image_root);
    case ItemSource::Kind::vqa:
      return open_vqa({job.source.path, job.source.annotations, job.source.image_pattern});
    case ItemSource::Kind::in_manifest:
      break;
  }
  return nullptr;
}

/// Items that were read with their manifest.
class InlineReader : public ItemReader {
 public:
  explicit InlineReader(std::shared_ptr<const std::vector<ReadItem>> items) : items_(std::move(items)) {}
  std::optional<ReadItem> next() override {
    if (next_ == items_->size()) return std::nullopt;
    return (*items_)[next_++];
  }

 private:
  std::shared_ptr<const std::vector<ReadItem>> items_;
  std::size_t next_ = 0;
};

/// Items of a listing file, each parsed when it is asked for.
class ListingReader : public ItemReader {
 public:
  ListingReader(const Manifest& manifest, std::size_t job) : job_(manifest.jobs[job]) {
    const std::filesystem::path folder = manifest.file.parent_path();
    context_.job = &job_;
    context_.job_index = job;
    context_.folder = job_.source.kind == ItemSource::Kind::glob ? folder : job_.source.path.parent_path();
    context_.where_key = [this](const std::string& key) { return place_of(find_key(record_.json, key)); };
    context_.where_offset = [this](std::size_t offset) { return place_of(offset); };
    records_ = open_records(job_, folder);
  }

  std::optional<ReadItem> next() override {
    if (!records_->next(record_)) return std::nullopt;
    ++context_.position;
    context_.default_id = record_.default_id;
    context_.default_id_from = Item::IdFrom::position;
    context_.where =
        record_.line > 0 ? fmt::format("{}:{}", job_.source.path.string(), record_.line) : record_.default_id;
    if (record_.fault) return failed_item(context_, record_.fault->code, record_.fault->problem);
    if (is_batch_request(record_.json) && !check_json(record_.json)) return read_batch_request();
    context_.task_from = ItemContext::TaskFrom::job;
    return parse_item(record_.json, context_);
  }

 private:
  std::optional<ReadItem> read_batch_request() {
    try {
      record_.json = item_of_batch_request(record_.json, job_);
    } catch (const ItemError& e) {
      if (const std::string id = custom_id_of(record_.json); !id.empty()) {
        context_.default_id = id;
        context_.default_id_from = Item::IdFrom::listing;
      }
      return failed_item(context_, e.code(), e.what());
    }
    record_.column = 0;
    context_.task_from = ItemContext::TaskFrom::images;
    return parse_item(record_.json, context_);
  }

  /// "file:line:column" of an offset into the record.
  std::string place_of(std::optional<std::size_t> offset) const {
    if (record_.column == 0 || record_.line == 0 || !offset) return context_.where;
    const std::string_view before = std::string_view(record_.json).substr(0, *offset);
    const auto lines = static_cast<std::uint64_t>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t last = before.rfind('\n');
    const std::uint64_t column =
        last == std::string_view::npos ? record_.column + before.size() : before.size() - last;
    return fmt::format("{}:{}:{}", job_.source.path.string(), record_.line + lines, column);
  }

  Job job_;
  ItemContext context_;
  Record record_;
  std::unique_ptr<RecordReader> records_;
};

/// Lets a second item of an id fail.
class UniqueIds : public ItemReader {
 public:
  explicit UniqueIds(std::unique_ptr<ItemReader> inner) : inner_(std::move(inner)) {}

  std::optional<ReadItem> next() override {
    std::optional<ReadItem> read = inner_->next();
    if (!read) return read;
    // An item that is too broken to tell its id takes none from another.
    const bool nameless = read->error && read->item->id_from == Item::IdFrom::position;
    if (!nameless && seen_.insert(read->item->id)) return read;
    auto twin = std::make_shared<Item>(*read->item);  // others may hold the item
    twin->variant = twin->position;
    if (!read->error) {
      read->error =
          Error{ErrorCode::duplicate_id, fmt::format("{}: an item with the id '{}' stands before in this job",
                                                     twin->where, twin->id.substr(0, 200))};
    }
    read->item = std::move(twin);
    return read;
  }

 private:
  std::unique_ptr<ItemReader> inner_;
  IdSet seen_;
};

class AllJobs : public ItemReader {
 public:
  explicit AllJobs(const Manifest& manifest) : manifest_(manifest) {}

  std::optional<ReadItem> next() override {
    for (;;) {
      if (!reader_) {
        if (job_ == manifest_.jobs.size()) return std::nullopt;
        reader_ = open_items(manifest_, job_++);
      }
      if (auto read = reader_->next()) return read;
      reader_.reset();
    }
  }

 private:
  Manifest manifest_;
  std::size_t job_ = 0;
  std::unique_ptr<ItemReader> reader_;
};

}  // namespace

std::unique_ptr<ItemReader> open_items(const Manifest& manifest, std::size_t job) {
  std::unique_ptr<ItemReader> reader;
  const ItemSource& source = manifest.jobs.at(job).source;
  if (source.kind == ItemSource::Kind::in_manifest)
    reader = std::make_unique<InlineReader>(source.in_manifest);
  else
    reader = std::make_unique<ListingReader>(manifest, job);
  return std::make_unique<UniqueIds>(std::move(reader));
}

std::unique_ptr<ItemReader> open_items(const Manifest& manifest) {
  return std::make_unique<AllJobs>(manifest);
}

std::uint64_t count_items(const Manifest& manifest) {
  std::uint64_t count = 0;
  for (const Job& job : manifest.jobs) {
    if (job.source.kind == ItemSource::Kind::in_manifest) {
      count += job.source.in_manifest->size();
      continue;
    }
    const auto records = open_records(job, manifest.file.parent_path());
    for (Record record; records->next(record);) ++count;
  }
  return count;
}

}  // namespace mmbatch
