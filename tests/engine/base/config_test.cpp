#include "engine/base/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

Config parse(const std::string& json) {
  return Config::parse(json, "file.json");
}

template <class Call>
std::string error_of(Call&& call) {
  return message_of<ModelError>(std::forward<Call>(call));
}

TEST(Config, AnEmptyKeyIsNamedToo) {
  const Config config = parse(R"({"": 1, "o": {"": 1}})");
  EXPECT_EQ(config.where(""), "file.json") << "the file, not a key of it";
  EXPECT_EQ(config.members()[0].second.where(""), R"(file.json: key '""')");
  EXPECT_EQ(config.child("o").members()[0].second.where(""), R"(file.json: key 'o.""')");
  const std::string long_key(1000, 'k');
  EXPECT_EQ(config.where(long_key), "file.json: key '" + long_key.substr(0, 80) + "'");
}

TEST(Config, ReadsValuesAndDefaults) {
  const Config config = parse(R"({"i":3,"d":1.5,"b":true,"t":"x","n":null,"l":[1,2],"o":{"k":["a"]}})");
  EXPECT_EQ(config.integer("i", 7), 3);
  EXPECT_EQ(config.integer("absent", 7), 7);
  EXPECT_EQ(config.integer("n", 7), 7);
  EXPECT_FALSE(config.has("n"));
  EXPECT_TRUE(config.is_null("n"));
  EXPECT_FALSE(config.is_null("absent"));
  EXPECT_EQ(config.number("i", 0), 3.0);
  EXPECT_EQ(config.number("d", 0), 1.5);
  EXPECT_TRUE(config.flag("b", false));
  EXPECT_EQ(config.text("t", ""), "x");
  EXPECT_THAT(config.integers("l"), ElementsAre(1, 2));
  EXPECT_THAT(config.integers("i"), ElementsAre(3));
  EXPECT_THAT(config.numbers("l"), ElementsAre(1.0, 2.0));
  EXPECT_THAT(config.child("o").texts("k"), ElementsAre("a"));
  EXPECT_EQ(config.child("absent").integer("k", 5), 5);
  EXPECT_EQ(config.first_of({"n", "absent", "t"}), "t");
  EXPECT_EQ(config.members().front().first, "i");
}

TEST(Config, ErrorsNameFileKeyAndValue) {
  const Config config = parse(R"({"o":{"i":"many","big":99999999999,"f":1.5,"u":18446744073709551615}})");
  const Config child = config.child("o");
  EXPECT_EQ(error_of([&] {
              child.integer("i", 1, {1, 9});
            }),
            "file.json: key 'o.i': expected an integer from 1 to 9, found \"many\"");
  EXPECT_THAT(error_of([&] { child.integer("big", 1); }), HasSubstr("found 99999999999"));
  EXPECT_THAT(error_of([&] { child.integer("f", 1); }), HasSubstr("found 1.5"));
  EXPECT_THAT(error_of([&] { child.integer("u", 1, {INT64_MIN, INT64_MAX}); }), HasSubstr("'o.u'"));
  EXPECT_THAT(error_of([&] { child.number("i", 1); }), HasSubstr("finite number"));
  EXPECT_THAT(error_of([&] { child.flag("i", true); }), HasSubstr("true or false"));
  EXPECT_THAT(error_of([&] { child.text("f", ""); }), HasSubstr("expected a string"));
  EXPECT_THAT(error_of([&] { child.list("i"); }), HasSubstr("expected a list"));
  EXPECT_THAT(error_of([&] { child.texts("i"); }), HasSubstr("expected a list"));
  EXPECT_THAT(error_of([&] { child.numbers("i"); }), HasSubstr("list of numbers"));
}

TEST(Config, NumbersBeyondFloatsAreRefused) {
  EXPECT_NE(error_of([] { parse(R"({"x":1e999})").number("x", 0); }), "");
  EXPECT_NE(error_of([] { parse(R"({"x":NaN})"); }), "");
}

TEST(Config, DepthIsBounded) {
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(static_cast<std::size_t>(depth - 1), '[') +
           std::string(static_cast<std::size_t>(depth - 1), ']') + "}";
  };
  EXPECT_EQ(error_of([&] { parse(nested(Config::kMaxDepth)); }), "");
  EXPECT_THAT(error_of([&] { parse(nested(Config::kMaxDepth + 1)); }), HasSubstr("nested deeper than 64"));
  EXPECT_NE(error_of([&] { parse(std::string(1 << 20, '[')); }), "");
}

TEST(Config, FilesMustBeObjectsOfSensibleSize) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "c.json";
  EXPECT_THAT(error_of([&] { Config::read(file); }), HasSubstr("no such file"));
  EXPECT_FALSE(Config::read_if_present(file).has("a"));
  testing::write_file(file, "[1]");
  EXPECT_THAT(error_of([&] { Config::read(file); }), HasSubstr("expected a JSON object"));
  testing::write_file(file, "{\"a\":\"\xff\"}");
  EXPECT_THAT(error_of([&] { Config::read(file); }), HasSubstr("not valid JSON"));
  std::filesystem::resize_file(file, Config::kMaxFileBytes + 1);
  EXPECT_THAT(error_of([&] { Config::read(file); }), HasSubstr("larger than 64 MiB"));
  EXPECT_THAT(error_of([&] { Config::read(folder.path()); }), HasSubstr("no such file"));
}

}  // namespace
}  // namespace mmbatch
