// Thousands of random schedules: every plan keeps its promises (see FakeEngine), every request ends once, and
// nothing is left over.

#include <random>

#include "tests/engine/serve/schedule/fake_engine.h"

namespace mmbatch {
namespace {

using testing::FakeEngine;
using testing::FakeModel;
using testing::FakeStrategy;
using testing::make_group;

using Random = std::mt19937;

/// What may be in a schedule beside windows, choices and beams.
enum class With { guesses, images, states, a_border, a_border_and_windows };

bool one_in(Random& random, unsigned times) {
  return random() % times == 0;
}

template <std::size_t N>
std::size_t any_of(const std::size_t (&values)[N], Random& random) {
  return values[random() % N];
}

std::shared_ptr<const Matrix<float>> image_rows(std::size_t rows) {
  return std::make_shared<const Matrix<float>>(rows, 1);
}

/// Texts and pictures in turn, of few kinds, so that prompts often begin alike.
std::shared_ptr<const Prompt> prompt_with_images(Random& random) {
  auto prompt = std::make_shared<Prompt>();
  const bool bidirectional = one_in(random, 2);
  for (std::size_t part = 1 + random() % 4; part > 0; --part) {
    const std::size_t begin = prompt->ids.size(), kind = random() % 2;
    if (one_in(random, 2)) {
      const std::size_t rows = 3 + 6 * kind;
      prompt->features.push_back({.begin = begin, .rows = image_rows(rows), .key = {77, kind}});
      prompt->ids.insert(prompt->ids.end(), rows, 1);
      if (bidirectional) prompt->bidirectional.push_back({begin, begin + rows});
    } else {
      for (std::size_t i = 1 + random() % 8; i > 0; --i) prompt->ids.push_back(one_in(random, 6) ? 1 : 0);
    }
  }
  return prompt;
}

/// One that often begins like another.
std::shared_ptr<const Prompt> prompt_of_text(Random& random, bool ranges) {
  auto prompt = std::make_shared<Prompt>();
  std::vector<std::int32_t>& ids = prompt->ids;
  ids.resize(1 + random() % 24);
  for (std::size_t p = 0; p < ids.size(); ++p) ids[p] = p < 12 ? static_cast<std::int32_t>(p) : 0;
  ids[random() % ids.size()] = static_cast<std::int32_t>(random() % 3);
  if (!ranges || !one_in(random, 4)) return prompt;
  for (std::size_t end = 0; end < ids.size() && prompt->bidirectional.size() < 3;) {
    const std::size_t begin = end + random() % (ids.size() - end);
    end = begin + 1 + random() % (ids.size() - begin);
    prompt->bidirectional.push_back({begin, end});
  }
  return prompt;
}

std::unique_ptr<SequenceGroup> random_group(std::uint64_t id, With with, Random& random) {
  const auto kind = static_cast<FakeStrategy::Kind>(random() % 3);
  const std::size_t width = one_in(random, 2) ? 1 : 1 + random() % 4;
  auto strategy = std::make_unique<FakeStrategy>(kind, width, static_cast<unsigned>(random()));
  if (with != With::images && with != With::states) strategy->guesses = random() % 5;
  auto prompt =
      with == With::images ? prompt_with_images(random) : prompt_of_text(random, with != With::states);
  return make_group(id, std::move(prompt), 1 + random() % 12, std::move(strategy));
}

SchedulerOptions random_options(Random& random) {
  SchedulerOptions options;
  options.block_tokens = any_of({1, 2, 3, 4, 16}, random);
  options.prefill_chunk = any_of({1, 2, 3, 7, 64}, random);
  options.max_batch_tokens = any_of({1, 2, 5, 13, 64}, random);
  options.max_sequences = 1 + random() % 12;
  options.prefix_sharing = random() % 4 > 0;
  return options;
}

/// All layers see everything, or look back no farther than a window; or some do the one, some the other.
FakeModel random_model(With with, Random& random) {
  const std::size_t window = 1 + random() % 14;
  const std::vector<std::size_t> windows[] = {
      {0}, {window}, {0, window}, {0, 0, window}, {0, window, window}};
  FakeModel model;
  model.windows = windows[with == With::a_border ? 0 : random() % 5];
  if (with == With::a_border || with == With::a_border_and_windows) model.length_border = 5 + random() % 30;
  if (with == With::states) {
    model.grid = any_of({1, 2, 4, 8}, random);
    model.slots = 8 + random() % 20;
  }
  return model;
}

struct Totals {
  std::size_t preemptions = 0, evictions = 0, stuck = 0;
};

/// @param seed of everything that is random
void run_schedule(With with, unsigned seed, Totals& totals) {
  Random random(seed);
  const SchedulerOptions options = random_options(random);
  FakeModel model = random_model(with, random);
  std::vector<std::unique_ptr<SequenceGroup>> groups;
  const std::size_t count = 1 + random() % 8;
  model.blocks = 1;
  for (std::uint64_t id = 1; id <= count; ++id) {
    groups.push_back(random_group(id, with, random));
    model.blocks =
        std::max(model.blocks, FakeEngine(options, model).scheduler().worst_case_blocks(*groups.back()));
  }
  const bool tight = one_in(random, 4);  // a cache that the worst case does not fit
  if (tight)
    model.blocks -= random() % model.blocks;
  else if (one_in(random, 2))
    model.blocks += random() % 40;
  const unsigned steps_for_fault = one_in(random, 4) ? 15 : 0, steps_for_cancel = one_in(random, 3) ? 10 : 0;

  FakeEngine engine(options, model);
  std::size_t next = 0;
  for (int steps = 0; next < groups.size() || !engine.scheduler().idle(); ++steps) {
    ASSERT_LT(steps, 5000) << "does not get on";
    while (next < groups.size() && one_in(random, 3)) {
      std::unique_ptr<SequenceGroup> group = std::move(groups[next++]);
      if (engine.scheduler().may_fit(*group))
        engine.scheduler().add(std::move(group));
      else
        ++engine.ended()[group->id];
    }
    if (steps_for_cancel > 0 && one_in(random, steps_for_cancel)) {
      if (const auto group = engine.scheduler().take(1 + random() % count)) ++engine.ended()[group->id];
    }
    const bool fails = steps_for_fault > 0 && one_in(random, steps_for_fault);
    engine.step(fails ? FakeEngine::Fate::fails : FakeEngine::Fate::computed);
    if (::testing::Test::HasFatalFailure()) return;
  }
  ASSERT_EQ(engine.ended().size(), count);
  for (const auto& [id, times] : engine.ended()) ASSERT_EQ(times, 1) << "request " << id;
  ASSERT_EQ(engine.allocator().used(), 0u);
  ASSERT_EQ(engine.allocator().available(), engine.allocator().blocks());
  ASSERT_LE(engine.allocator().peak_used(), engine.allocator().blocks());
  ASSERT_EQ(engine.slots().used(), 0u);
  ASSERT_TRUE(tight || engine.stuck() == 0) << "a request needed more than its worst case";
  totals.preemptions += engine.scheduler().preemptions();
  totals.evictions += engine.allocator().evictions();
  totals.stuck += engine.stuck();
}

class RandomSchedules : public ::testing::TestWithParam<With> {};

TEST_P(RandomSchedules, KeepAllPromises) {
  Totals totals;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    run_schedule(GetParam(), seed, totals);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(totals.preemptions, 200u);
  EXPECT_GT(totals.evictions, 200u);
  EXPECT_GT(totals.stuck, 10u);
}

std::string name_of(const ::testing::TestParamInfo<With>& tested) {
  switch (tested.param) {
    case With::guesses:
      return "Guesses";
    case With::images:
      return "Images";
    case With::states:
      return "States";
    case With::a_border:
      return "ABorder";
    case With::a_border_and_windows:
      return "ABorderAndWindows";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(, RandomSchedules,
                         ::testing::Values(With::guesses, With::images, With::states, With::a_border,
                                           With::a_border_and_windows),
                         name_of);

}  // namespace
}  // namespace mmbatch
