#include "jobs/query/nearest.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "jobs/query/query.h"
#include "jobs/query/similarity.h"
#include "jobs/results/result_rows.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Embeddings of two models and an answer without one.
class Nearest : public ::testing::Test {
 protected:
  Nearest() {
    const auto store = ResultsStore::open_or_create(file_);
    RunInfo other = testing::make_run();
    other.model.fingerprint = "beef";
    store->begin_run(other, ResumePolicy::resume);
    put(*store, "foreign", {1, 0});
    RunInfo run = testing::make_run();
    run.jobs.push_back({});
    run.jobs.back().name = "more";
    store->begin_run(run, ResumePolicy::resume);
    put(*store, "east", {1, 0});
    put(*store, "north", {0, 1});
    put(*store, "west", {-1, 0});
    put(*store, "northeast", {0.6f, 0.8f});
    put(*store, "long", {0, 0, 1});
    put(*store, "none", {});
    put(*store, "a/b \"c\".png", {0, 0, 0, 1});
    put(*store, "north", {0, 1}, 1);
  }

  void put(ResultsStore& store, const std::string& id, const std::vector<float>& embedding,
           std::size_t job = 0) {
    Item item = testing::make_item(id, "about " + id);
    item.job = job;
    ItemResult result = testing::make_answer(item, testing::key_of(++keys_), "");
    result.answers[0].embedding = embedding;
    store.put(result);
  }

  /// "id similarity" of each row.
  std::vector<std::string> nearest(QueryOptions options) {
    std::ostringstream out;
    options.style.format = OutputFormat::jsonl;
    query(file_, options, out);
    std::istringstream lines(out.str());
    std::vector<std::string> found;
    for (std::string line; std::getline(lines, line);) {
      const auto row = nlohmann::json::parse(line);
      found.push_back(row["id"].get<std::string>() + " " + row["similarity"].dump().substr(0, 5));
    }
    return found;
  }

  testing::TempFolder folder_;
  const std::filesystem::path file_ = folder_ / "r.db";
  std::uint64_t keys_ = 0;
};

TEST_F(Nearest, TheMostSimilarOfTheSameModelComeFirst) {
  QueryOptions options;
  options.nearest = find_embedding(file_, "east");
  ASSERT_TRUE(options.nearest);
  EXPECT_THAT(options.nearest->embedding, ElementsAre(1, 0));
  EXPECT_THAT(nearest(options), ElementsAre("northeast 0.600", "north 0", "north 0", "west -1"));
  options.limit = 1;
  EXPECT_THAT(nearest(options), ElementsAre("northeast 0.600"));
  options.limit = 3;
  EXPECT_THAT(nearest(options), ElementsAre("northeast 0.600", "north 0", "north 0"));
  options.where = "id <> 'northeast'";
  EXPECT_THAT(nearest(options), ElementsAre("north 0", "north 0", "west -1"));
  options.where.clear();
  options.limit = {};
  options.contains = "about north";
  options.job = "shapes";
  EXPECT_THAT(nearest(options), ElementsAre("northeast 0.600", "north 0"));
  options.sort = "id";
  EXPECT_THROW(nearest(options), UsageError);
}

TEST_F(Nearest, ItemsAreFoundByNameOrJobAndName) {
  EXPECT_FALSE(find_embedding(file_, "none"));
  EXPECT_FALSE(find_embedding(file_, "nowhere"));
  EXPECT_TRUE(find_embedding(file_, "more/north"));
  EXPECT_NE(find_embedding(file_, "more/north")->result_key,
            find_embedding(file_, "shapes/north")->result_key);
  EXPECT_THAT(testing::error_of<UsageError>([&] { find_embedding(file_, "north"); }),
              ::testing::AllOf(HasSubstr("shapes/north"), HasSubstr("more/north")));
  EXPECT_TRUE(find_embedding(file_, "a/b \"c\".png"));
  EXPECT_TRUE(find_embedding(file_, "shapes/a/b \"c\".png"));
  EXPECT_FALSE(find_embedding(file_, "a/shapes/a/b \"c\".png"));
  EXPECT_EQ(embedding_model(file_).fingerprint, "f00d");
}

TEST_F(Nearest, ADatabaseWithoutEmbeddingsSaysSo) {
  const auto empty = folder_ / "empty.db";
  { ResultsStore::open_or_create(empty); }
  EXPECT_THAT(testing::error_of<UsageError>([&] { embedding_model(empty); }), HasSubstr("task embed"));
}

TEST_F(Nearest, CosineServesSqlTooAndRefusesWhatIsNoVector) {
  const auto value = [&](const std::string& expression) {
    QueryOptions options;
    options.sql = "SELECT " + expression + " AS x";
    options.style.format = OutputFormat::csv;
    std::ostringstream out;
    query(file_, options, out);
    return out.str().substr(2);
  };
  EXPECT_EQ(value("cosine(x'0000803f00000000', x'0000004000000000')"), "1\n");
  EXPECT_EQ(value("cosine(x'0000803f', x'0000803f00000000')"), "\n");  // other widths
  EXPECT_EQ(value("cosine(x'00', x'00')"), "\n");
  EXPECT_EQ(value("cosine('a', 1)"), "\n");
  EXPECT_EQ(value("cosine(x'', x'')"), "\n");
  EXPECT_EQ(value("cosine(x'00000000', x'00000000')"), "\n");
  EXPECT_EQ(value("cosine(x'0000c07f', x'0000803f')"), "\n");  // NaN
}

TEST(Similarity, OfEveryWidth) {
  for (std::size_t width = 1; width < 40; ++width) {
    std::vector<float> a(width), b(width);
    double product = 0, squares_a = 0, squares_b = 0;
    for (std::size_t i = 0; i < width; ++i) {
      a[i] = static_cast<float>(i * 7 % 5) - 1.5f;
      b[i] = static_cast<float>(i * 3 % 11) + 0.25f;
      product += a[i] * b[i];
      squares_a += a[i] * a[i];
      squares_b += b[i] * b[i];
    }
    const std::string unaligned = "x" + embedding_bytes(a);
    EXPECT_NEAR(SimilarityTarget(embedding_bytes(b)).cosine(std::string_view(unaligned).substr(1)),
                product / std::sqrt(squares_a * squares_b), 1e-12)
        << width;
  }
}

}  // namespace
}  // namespace mmbatch
