#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/inputs/decoder_steps.h"
#include "bench/inputs/form.h"
#include "bench/inputs/scratch_folder.h"
#include "bench/workload.h"
#include "engine/serve/engine.h"
#include "pipeline/constraint/grammar_constraint.h"

namespace mmbatch::bench {
namespace {

using Ids = std::vector<std::int32_t>;

/// An answer drawn from the allowed tokens.
Ids drawn(const TokenConstraint& constraint, std::size_t vocab, unsigned seed) {
  constexpr std::size_t kMost = 1500;
  std::mt19937 random(seed);
  Ids ids;
  TokenConstraint::State state = constraint.start();
  while (ids.size() < kMost && !constraint.complete(state)) {
    TokenMask mask(vocab);
    constraint.allowed(state, mask);
    Ids allowed;
    for (std::size_t token = 0; token < vocab; ++token) {
      if (mask.has(token)) allowed.push_back(static_cast<std::int32_t>(token));
    }
    ids.push_back(allowed[random() % allowed.size()]);
    state = *constraint.advance(state, ids.back());
  }
  return ids;
}

/// As the sampler asks: the tokens that may come, then the one that came.
void follow(const TokenConstraint& constraint, std::size_t vocab, const Ids& ids) {
  TokenConstraint::State state = constraint.start();
  for (const std::int32_t id : ids) {
    TokenMask mask(vocab);
    constraint.allowed(state, mask);
    state = *constraint.advance(state, id);
  }
}

/// How sixteen answers are made.
struct Decoding {
  std::string name;
  std::shared_ptr<const TokenConstraint> constraint;  // null: any token may come
  bool jump_forward = true;
};

/// Sixteen sequences decoded together by one model, with a constraint and without.
class Decodings {
 public:
  /// @param vocab tokens that the constraints know: no others come
  Decodings(Session& session, std::size_t vocab)
      : session_(session),
        files_(session.checkpoint(session.quick() ? "qwen3-tiny" : "qwen3-0.6b")),
        decoder_(load_decoder(session, files_, nullptr)),
        vocab_(std::min(vocab, decoder_->config().vocab)) {}

  /// @return seconds for a token
  double measure(const Decoding& decoding) {
    EngineOptions options;
    options.kv_bytes = std::size_t{3} << 29;
    options.kv_precision = session_.kv_precision();
    options.jump_forward = decoding.jump_forward;
    Engine engine(decoder_, {.limit = vocab_, .suppressed = {}, .eos = {}}, options);
    double tokens = 0;
    const Timing timing = session_.time(3, [&] {
      tokens = 0;
      for (std::int32_t i = 0; i < 16; ++i) engine.submit(request(i, decoding.constraint, tokens));
      while (engine.step()) {
      }
    });
    session_.add({decoding.name, timing, tokens, "tokens/s", {}});
    return timing.median / tokens;
  }

 private:
  Request request(std::int32_t number, const std::shared_ptr<const TokenConstraint>& constraint,
                  double& tokens) const {
    auto prompt = std::make_shared<Prompt>();
    for (std::int32_t i = 0; i < 32; ++i) prompt->ids.push_back((number * 32 + i) * 37 % 400);
    Request request;
    request.prompt = std::move(prompt);
    request.generation.max_new_tokens = session_.quick() ? 8 : 128;
    request.constraint = constraint;
    request.on_done = [&tokens](const Result<Completion>& done) {
      if (!done) throw std::runtime_error(done.error().message);
      tokens += static_cast<double>(done.value().answers.front().tokens.size());
    };
    return request;
  }

  Session& session_;
  ModelFiles files_;
  std::shared_ptr<const Decoder> decoder_;
  std::size_t vocab_;
};

void measure_decoding(Session& session, std::size_t vocab,
                      const std::shared_ptr<const TokenConstraint>& constraint) {
  Decodings decodings(session, vocab);
  const double free = decodings.measure({.name = "x16, any token", .constraint = nullptr});
  const double masked = decodings.measure(
      {.name = "x16, tokens of the schema", .constraint = constraint, .jump_forward = false});
  decodings.measure({.name = "x16, forced tokens in one step", .constraint = constraint});
  session.say(fmt::format("of the time for a token with a schema, {:.1f} % is the schema's",
                          100 * (1 - free / masked)));
}

}  // namespace

void run_constraint(Session& session) {
  const std::size_t vocab = session.quick() ? 450 : 150'000;
  const ScratchFolder folder(session.options().scratch);
  std::ofstream(folder.path() / "tokenizer.json") << tokenizer_json(vocab).dump();
  const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(folder.path());
  session.add({"tokens of a vocabulary as a tree",
               session.time(3, [&] { TokenBytes tree(tokenizer); }),
               1,
               "vocabularies/s",
               {}});
  const auto tokens = std::make_shared<const TokenBytes>(tokenizer);
  const ConstraintSpec spec = form();
  session.add({"compile a schema of 30 fields",
               session.time(7, [&] { compile_constraint(spec); }),
               1,
               "schemas/s",
               {}});
  const std::shared_ptr<const Grammar> grammar = compile_constraint(spec).grammar;
  const auto constraint_of = [&](std::shared_ptr<TokenMasks> masks) {
    return GrammarConstraint(std::move(masks), {}, nullptr);
  };
  const auto known = std::make_shared<TokenMasks>(grammar, tokens);
  std::vector<Ids> answers;
  double count = 0;
  for (unsigned seed = 0; seed < (session.quick() ? 2u : 16u); ++seed) {
    answers.push_back(drawn(constraint_of(known), vocab, seed));
    count += static_cast<double>(answers.back().size());
  }
  session.add(
      {"masks of the first answer",
       session.time(
           7,
           [&] { follow(constraint_of(std::make_shared<TokenMasks>(grammar, tokens)), vocab, answers[0]); }),
       static_cast<double>(answers[0].size()),
       "tokens/s",
       {}});
  session.add({"masks of 16 answers, new",
               session.time(7,
                            [&] {
                              const auto masks = std::make_shared<TokenMasks>(grammar, tokens);
                              for (const Ids& ids : answers) follow(constraint_of(masks), vocab, ids);
                            }),
               count,
               "tokens/s",
               {}});
  session.add({"masks of 16 answers, known",
               session.time(7,
                            [&] {
                              for (const Ids& ids : answers) follow(constraint_of(known), vocab, ids);
                            }),
               count,
               "tokens/s",
               {}});
  measure_decoding(session, vocab, std::make_shared<const GrammarConstraint>(constraint_of(known)));
}

}  // namespace mmbatch::bench
