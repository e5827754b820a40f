#include "jobs/listing/item_reader.h"

#include <fmt/format.h>

#include "jobs/item/item_builder.h"
#include "jobs/listing/archive/samples.h"
#include "jobs/listing/document/document_items.h"
#include "jobs/listing/id_set.h"
#include "jobs/listing/records.h"
#include "jobs/listing/vqa_files.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

std::unique_ptr<RecordReader> open_records(const Job& job, const std::filesystem::path& manifest_folder) {
  const std::string name = job.source.path.string();
  switch (job.source.kind) {
    case ItemSource::Kind::jsonl:
    case ItemSource::Kind::batch:
      return open_jsonl(name);
    case ItemSource::Kind::json:
      return open_json(name);
    case ItemSource::Kind::csv:
      return open_csv(name);
    case ItemSource::Kind::tsv:
      return open_csv(name, '\t');
    case ItemSource::Kind::glob:
      return open_glob(name, job.image_root.empty() ? manifest_folder : job.image_root,
                       job.documents.pages ? GlobOf::documents : GlobOf::names);
    case ItemSource::Kind::vqa:
      return open_vqa({job.source.path, job.source.annotations, job.source.image_pattern});
    case ItemSource::Kind::archive:
      return open_samples(job.source.path, asks(job) ? Question::of_job : Question::of_item);
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
    const bool is_glob = job_.source.kind == ItemSource::Kind::glob;
    context_.job = &job_;
    context_.job_index = job;
    context_.folder = is_glob ? folder : job_.source.path.parent_path();
    if (!is_glob) context_.file = job_.source.path.string();
    records_ = open_records(job_, folder);
  }

  std::optional<ReadItem> next() override {
    if (!records_->next(record_)) return std::nullopt;
    ++context_.position;
    context_.default_id = record_.default_id;
    context_.default_id_from = record_.default_id_from;
    context_.own_id = record_.own_id;
    context_.place = {record_.line, 0};
    if (record_.fault)
      return failed_item(context_, PlacedError(record_.fault->code, {}, record_.fault->problem));
    try {
      const NodePointer node = records_->node();
      context_.images = records_->images();
      const bool request = job_.source.kind == ItemSource::Kind::batch ||
                           (job_.source.kind == ItemSource::Kind::jsonl && is_request(*node));
      return request ? build_request(*node, context_) : build_item(*node, context_);
    } catch (const PlacedError& e) {
      return failed_item(context_, e);
    }
  }

 private:
  Job job_;
  ItemContext context_;
  Record record_;
  std::unique_ptr<RecordReader> records_;
};

/// Lets a second item of an id fail, and keeps apart the ids that were made up.
class UniqueIds : public ItemReader {
 public:
  explicit UniqueIds(std::unique_ptr<ItemReader> inner) : inner_(std::move(inner)) {}

  std::optional<ReadItem> next() override {
    std::optional<ReadItem> read = inner_->next();
    if (!read) return read;
    const Item::IdFrom from = read->item->id_from;
    const bool nameless = from == Item::IdFrom::position;
    // An item that is too broken to tell its id takes none from another; its files name it all the same.
    if (read->error && nameless) return renamed(std::move(*read));
    if (seen_.insert(read->item->id)) return read;
    if (nameless) return renamed(std::move(*read));
    auto twin = std::make_shared<Item>(*read->item);  // others may hold the item
    twin->variant = twin->position;
    if (!read->error) {
      const char* const what =
          from == Item::IdFrom::file
              ? "', which is the name of these files: names must differ, or their .json "
                "have an 'id'"
              : "', or was given it because it has none: ids must differ, and either all "
                "items have one or none";
      read->error = ReadError{
          ErrorCode::duplicate_id,
          fmt::format("an earlier item of this job has the id '{}{}", shortened(twin->id, 200), what),
          twin->where};
    }
    read->item = std::move(twin);
    return read;
  }

 private:
  /// Its number may be another item's id: a name that says where it is in the file is not.
  ReadItem renamed(ReadItem read) {
    auto named = std::make_shared<Item>(*read.item);
    named->id += " (no id)";
    constexpr int kMostMarks = 8;  // a name of thousands would be taken a thousand times
    for (int marks = 1; !seen_.insert(named->id); ++marks)
      named->id += marks == kMostMarks ? fmt::format(" {}", named->position) : "'";
    if (read.error) named->variant = named->position;
    read.item = std::move(named);
    return read;
  }

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
  const Job& read = manifest.jobs.at(job);
  const ItemSource& source = read.source;
  if (source.kind == ItemSource::Kind::in_manifest)
    reader = std::make_unique<InlineReader>(source.in_manifest);
  else
    reader = std::make_unique<ListingReader>(manifest, job);
  return std::make_unique<UniqueIds>(
      show_documents(std::move(reader), manifest.count_parts, read.truncated_images));
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
