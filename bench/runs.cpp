#include "bench/runs.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "bench/inputs/pictures.h"
#include "engine/base/error.h"
#include "jobs/results/database.h"

namespace mmbatch::bench {
namespace {

void write(const std::filesystem::path& file, const char* bytes, std::size_t count) {
  std::ofstream out(file, std::ios::binary);
  out.write(bytes, static_cast<std::streamsize>(count));
  if (!out.flush()) throw UsageError(fmt::format("{}: cannot be written", file.string()));
}

void write(const std::filesystem::path& file, const std::string& text) {
  write(file, text.data(), text.size());
}

/// What the run left in its database.
RunFigures figures_of(const std::filesystem::path& file) {
  Database database(file, Database::Mode::read_only);
  Statement statement = database.prepare("SELECT stats FROM runs");
  statement.step();
  const auto json = nlohmann::json::parse(statement.text(0));
  return {json.at("seconds").get<double>(),
          json.at("prompt_tokens").get<double>() - json.at("prompt_tokens_reused").get<double>(),
          json.at("answer_tokens").get<double>()};
}

}  // namespace

std::string question_text(std::size_t number) {
  constexpr const char* kThings[] = {"people", "trees", "houses", "cars", "birds", "signs", "lamps", "doors"};
  return fmt::format("how many {} are there{}?", kThings[number % 8],
                     number < 8 ? "" : fmt::format(" in part {}", number / 8));
}

std::filesystem::path write_questions(const QuestionSet& set, const std::filesystem::path& model,
                                      const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i < set.images; ++i) {
    const std::vector<std::byte> file = jpeg(picture(set.width, set.height, static_cast<int>(i)));
    write(folder / fmt::format("{}.jpg", i), reinterpret_cast<const char*>(file.data()), file.size());
  }
  const bool by_image = set.order == QuestionSet::Order::by_image;
  std::string lines;
  for (std::size_t i = 0; i < set.images * set.questions_an_image; ++i) {
    const std::size_t image = by_image ? i / set.questions_an_image : i % set.images;
    const std::size_t question = by_image ? i % set.questions_an_image : i / set.images;
    lines += fmt::format(R"({{"image": "{}.jpg", "question": "{}"}})", image, question_text(question)) + "\n";
  }
  write(folder / "items.jsonl", lines);
  const auto manifest = folder / "manifest.yaml";
  write(manifest, fmt::format("model: {}\ndatabase: results.db\n"
                              "generation: {{max_new_tokens: {}, ignore_eos: true}}\n"
                              "jobs:\n  - {{name: questions, task: vqa, items: items.jsonl}}\n",
                              nlohmann::json(model.string()).dump(), kAnswerTokens));
  return manifest;
}

std::vector<RunFigures> run_questions(const std::filesystem::path& manifest, RunOptions options,
                                      std::size_t times) {
  const auto folder = manifest.parent_path();
  for (std::size_t i = 0; i < times; ++i) {
    // Copies beside each other: a run knows its manifest, and its model is kept from one to the next.
    options.manifests.push_back(folder / fmt::format("run-{}.yaml", i));
    std::ifstream in(manifest);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    text.replace(text.find("results.db"), 10, fmt::format("run-{}.db", i));
    write(options.manifests.back(), text);
  }
  options.progress = ProgressStyle::none;
  const ExitCode code = run_manifests(options);
  if (code == ExitCode::interrupted) throw FatalError("interrupted");
  if (code != ExitCode::ok)
    throw UsageError(fmt::format("{}: not all items were answered", manifest.string()));
  std::vector<RunFigures> runs;
  for (std::size_t i = 0; i < times; ++i) {
    const auto file = folder / fmt::format("run-{}.db", i);
    runs.push_back(figures_of(file));
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + end);
  }
  return runs;
}

RunOptions run_options(Session& session) {
  RunOptions options;
  options.threads = session.options().threads;
  options.precision = session.options().precision;
  options.engine.kv_precision = session.options().kv_precision;
  return options;
}

}  // namespace mmbatch::bench
