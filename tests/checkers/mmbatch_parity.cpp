// mmbatch_parity DIR: holds this project's numbers against what Hugging Face transformers computed.
//
// DIR has model/ (a checkpoint) or a GGUF model (with mmproj), images/, expected.json and
// expected.safetensors. Every case goes through tokenizer, preprocessing, vision encoder, projector, decoder
// and every way of generating that expected.json knows, or through both halves of a dual encoder; see
// parity_compare.h for the tolerances. Exit code 0 when all is within them, 1 when not or when there is
// nothing to compare, 2 for wrong arguments and for what cannot be read.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/base/threads.h"
#include "tests/checkers/parity_dual.h"
#include "tests/checkers/parity_generation.h"

namespace {

using namespace mmbatch;

struct Arguments {
  std::string folder;
  std::string precision = "f32";
  std::string kv_precision;
  std::string attention = "flash";
  int threads = 0;
  std::size_t tensor_parallel = 1;
  parity::GenerationOptions generation;
};

void add_options(CLI::App& app, Arguments& arguments) {
  EngineOptions& engine = arguments.generation.engine;
  app.add_option("folder", arguments.folder,
                 "Folder with model/, images/, expected.json, expected.safetensors")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--precision", arguments.precision, "Type computed in")
      ->check(CLI::IsMember(precision_names()));
  app.add_option("--kv-precision", arguments.kv_precision, "Type of cached keys and values")
      ->check(CLI::IsMember(kv_precision_names()));
  app.add_option("--kv-blocks", engine.kv_blocks, "Blocks of the cache")->check(CLI::PositiveNumber);
  app.add_option("--block-tokens", engine.scheduler.block_tokens, "Positions a block")
      ->check(CLI::PositiveNumber);
  app.add_option("--prefill-chunk", engine.scheduler.prefill_chunk, "Prompt positions of a sequence a step")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-batch-tokens", engine.scheduler.max_batch_tokens, "Rows a step")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", arguments.threads, "Threads; by default one per core")
      ->check(CLI::PositiveNumber);
  app.add_option("--tensor-parallel", arguments.tensor_parallel, "Slices that the decoder is cut into")
      ->check(CLI::PositiveNumber);
  app.add_option("--concurrent", arguments.generation.concurrent, "Requests at a time")
      ->check(CLI::PositiveNumber);
  app.add_option("--attention", arguments.attention, "Attention kernel")
      ->check(CLI::IsMember({"flash", "naive"}));
  app.add_flag_callback(
      "--no-prefix-sharing", [&engine] { engine.scheduler.prefix_sharing = false; },
      "Compute every prompt from its start");
}

void check_decoder(const parity::Subject& subject, const Arguments& arguments, parity::Report& report) {
  std::vector<parity::PreparedCase> prepared;
  for (const parity::ReferenceCase& one : subject.reference.cases) {
    if (auto ready = parity::check_prompt(subject, one, report)) prepared.push_back(std::move(*ready));
  }
  const EngineStats stats = parity::check_generations(subject, prepared, arguments.generation, report);
  fmt::print(stderr, "engine: {} steps, {} preemptions, {} evictions, {} of {} prompt tokens reused\n",
             stats.steps, stats.preemptions, stats.evictions, stats.prompt_tokens_reused,
             stats.prompt_tokens);
}

int check(const Arguments& arguments) {
  const std::filesystem::path folder = arguments.folder;
  // A folder of Hugging Face's files, or GGUF files beside the expected numbers.
  const std::filesystem::path place = std::filesystem::exists(folder / "model") ? folder / "model" : folder;
  std::shared_ptr<const Slices> slices;
  if (arguments.tensor_parallel > 1)
    slices = std::make_shared<const Slices>(arguments.tensor_parallel, no_others());
  const auto model = std::make_shared<const Model>(std::make_shared<const ModelFiles>(place),
                                                   precision_from(arguments.precision), slices);
  const parity::Reference reference(folder, model->spec().eos, model->spec().image_token,
                                    model->files().generation);
  const parity::Subject subject{*model, reference, arguments.generation.engine.attention};
  parity::Report report;
  parity::check_tokenizer(subject, report);
  if (model->decoder() != nullptr)
    check_decoder(subject, arguments, report);
  else
    parity::check_dual(subject, report);
  fmt::print("{}: {}\n{}", folder.string(), model->spec().family, report.table());
  if (report.checks() == 0) fmt::print(stderr, "{}: nothing to compare\n", folder.string());
  return report.checks() > 0 && report.failed() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Holds this program's numbers against a folder of reference results.", "mmbatch_parity");
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (!arguments.kv_precision.empty())
    arguments.generation.engine.kv_precision = kv_precision_from(arguments.kv_precision);
  if (arguments.attention == "naive") arguments.generation.engine.attention = AttentionKernel::naive;
  try {
    int code = 0;
    Arena arena(arguments.threads);
    arena.run([&] { code = check(arguments); });
    return code;
  } catch (const std::exception& e) {
    fmt::print(stderr, "mmbatch_parity: {}\n", e.what());
    return 2;
  }
}
