#include "jobs/results/search/text_search.h"

#include <gmock/gmock.h>

#include <random>
#include <sstream>

#include "engine/base/text/lower_case.h"
#include "jobs/query/query.h"
#include "jobs/results/search/text_finder.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::key_of;
using testing::make_answer;
using testing::make_item;
using testing::make_run;
using ::testing::Optional;
using testing::TempFolder;

TEST(TextFinder, FindsWhatComparingInLowerCaseFinds) {
  const std::vector<std::string> pieces = {"a",
                                           "B",
                                           "k",
                                           "T",
                                           "@",
                                           "[",
                                           "`",
                                           "{",
                                           "z",
                                           "Z",
                                           "\xC3\x9C",
                                           "\xC3\xBC",
                                           "\xE2\x84\xAA",
                                           "\xC4\xB0",
                                           "\xE5\xBD\xA2",
                                           "\xFF",
                                           std::string(1, '\0')};
  std::mt19937 random(7);
  const auto text_of = [&](std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += pieces[random() % pieces.size()];
    return text;
  };
  int found = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string part = text_of(random() % 4), text = text_of(random() % 40);
    const bool expected = to_lower(text).find(to_lower(part)) != std::string::npos;
    ASSERT_EQ(TextFinder(part).is_in(text), expected) << part << " in " << text;
    found += expected;
  }
  EXPECT_GT(found, 1000);
}

/// Items 0 … 99, every tenth of which asks for a cat; all answers are "no".
class TextSearch : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto store = ResultsStore::open_or_create(file_);
    store->begin_run(make_run(), ResumePolicy::resume);
    for (std::uint64_t i = 0; i < 100; ++i) {
      const std::string prompt = (i % 10 == 0 ? "a \"Cat\"? " : "a dog? ") + std::to_string(i);
      ItemResult result = make_answer(make_item(std::to_string(i), prompt, i + 1), key_of(i), "no");
      result.answers[0].logprob = -static_cast<double>(i % 7);
      store->put(result);
    }
  }
  std::size_t found(const std::string& text, std::int64_t most) {
    Database database(file_, Database::Mode::read_only);
    const auto keys = phrases_of_few(database, text, most);
    return keys ? static_cast<std::size_t>(std::count(keys->begin(), keys->end(), ',')) + (*keys != "[]")
                : 999;
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "r.db";
};

TEST_F(TextSearch, GivesUpWhereTheRowsAreMany) {
  EXPECT_EQ(found("\"cat\"", 10), 10u);
  EXPECT_EQ(found("\"cat\"", 9), 999u);
  EXPECT_EQ(found("NO", 100), 1u);  // one phrase, a hundred results
  EXPECT_EQ(found("no", 99), 999u);
  EXPECT_EQ(found("zebra", 0), 0u);
  EXPECT_EQ(found("zz", 0), 0u);
}

}  // namespace
}  // namespace mmbatch
