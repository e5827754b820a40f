#include <fmt/format.h>

#include "bench/inputs/scratch_folder.h"
#include "bench/workload.h"
#include "jobs/results/store.h"

namespace mmbatch::bench {
namespace {

RunInfo run_info() {
  RunInfo info;
  info.manifest = "/bench/manifest.yaml";
  info.model = {"/bench/model", "0", "none", "f32", "{}"};
  info.version = "bench";
  Job job;
  job.name = "questions";
  info.jobs.push_back(job);
  return info;
}

ItemResult answer(std::size_t number) {
  auto item = std::make_shared<Item>();
  item->position = number + 1;
  item->id = fmt::format("item-{}", number);
  item->prompt = fmt::format("How many people are in picture {}?", number / 8);
  item->references = {"three"};
  Item::Image image;
  image.written = fmt::format("{}.jpg", number / 8);
  item->images = {image};
  ItemResult result;
  result.item = std::move(item);
  result.image_sha256 = {fmt::format("{:064x}", number / 8)};
  result.content_key = fmt::format("{:064x}", number);
  ItemResult::Answer text;
  text.text = "three people";
  text.finish_reason = "stop";
  text.logprob = -0.25;
  text.answer_tokens = 3;
  result.answers = {text};
  result.prompt_tokens = 600;
  result.ms = {1.0, 1.0, 1.0, 1.0, 1.0, 5.0};
  return result;
}

}  // namespace

void run_store(Session& session) {
  const std::size_t rows = session.quick() ? 20 : 50'000;
  std::vector<ItemResult> results;
  for (std::size_t i = 0; i < rows; ++i) results.push_back(answer(i));
  const ScratchFolder folder(session.options().scratch);
  std::size_t number = 0;
  const auto count = static_cast<double>(rows);
  const auto fill = [&](const std::filesystem::path& file) {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(run_info(), ResumePolicy::resume);
    for (const ItemResult& result : results) {
      store->look_up(result.item, result.content_key, result.image_sha256);
      store->put(result);
    }
    store->finish_run(RunStatus::finished, "{}");
  };
  session.add({"write answers to a new database",
               session.time(5, [&] { fill(folder.path() / fmt::format("{}.db", number++)); }),
               count,
               "rows/s",
               {}});
  const auto full = folder.path() / "0.db";
  session.add({"find that all are answered",
               session.time(5,
                            [&] {
                              const auto store = ResultsStore::open_or_create(full);
                              store->begin_run(run_info(), ResumePolicy::resume);
                              for (const ItemResult& result : results)
                                store->look_up(result.item, result.content_key, result.image_sha256);
                              store->finish_run(RunStatus::finished, "{}");
                            }),
               count,
               "rows/s",
               {}});
}

}  // namespace mmbatch::bench
