// Listings as CSV: how cells are read, and which faults a row can have.

#include <gmock/gmock.h>

#include "jobs/listing/item_reader.h"
#include "tests/jobs/helpers.h"
#include "tests/jobs/listing/read_items.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::faults_of;
using ::testing::HasSubstr;
using testing::ids_of;
using testing::TempFolder;

TEST(Csv, FollowsRfc4180) {
  TempFolder folder;
  const auto items =
      testing::read_listing(folder, "q.csv",
                            "\xEF\xBB\xBFid,image,question,answers,Split,generation\r\n"
                            "1,a.png,\"what, \"\"exactly\"\"?\nsay\",\"[\"\"x\"\",\"\"y\"\"]\",val,\r\n"
                            "\r\n"
                            "2,b.png,plain 5\" nail,blue,,\"{\"\"seed\"\": 3}\"\n"
                            "3,c.png,q\n"
                            "4,d.png,\"closed\"x,a,b,\n"
                            "5,e.png,q,a,b,{\n"
                            "6,\xff.png,q,a,b,\n"
                            ",g.png,q,,,\n"
                            "8,h.png,\"never closed,a,b,\n"
                            "9,i.png,q,,,");
  std::vector<std::string> faults;
  for (const ReadItem& item : items) faults.push_back(testing::fault(item));
  ASSERT_EQ(items.size(), 9u);
  EXPECT_EQ(faults[0], "");
  EXPECT_EQ(items[0].item->prompt, "what, \"exactly\"?\nsay");
  EXPECT_THAT(items[0].item->references, ElementsAre("x", "y"));
  EXPECT_EQ(items[0].item->metadata, R"({"Split":"val"})");
  EXPECT_EQ(faults[1], "");
  EXPECT_EQ(items[1].item->prompt, "plain 5\" nail");
  EXPECT_THAT(items[1].item->references, ElementsAre("blue"));
  EXPECT_EQ(items[1].item->generation.size(), 1u);
  EXPECT_THAT(faults[2], HasSubstr("q.csv:6: 3 fields, but the header line has 6"));
  EXPECT_THAT(faults[3], HasSubstr("text after the closing quote of field 3"));
  EXPECT_THAT(faults[4], HasSubstr("column 'generation' must be JSON"));
  EXPECT_THAT(faults[5], HasSubstr("invalid UTF-8 in column 'image'"));
  EXPECT_EQ(faults[6], "");
  EXPECT_EQ(items[6].item->id, "10");
  EXPECT_THAT(faults[7], HasSubstr("q.csv:11: a quoted field does not end"));
  EXPECT_EQ(faults[8], "");
  EXPECT_EQ(items[8].item->id, "9");
}

TEST(Csv, AFailedRowKeepsAnIdThatCanBeRead) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.csv",
                                           "id,image,question,generation\n"
                                           "few,a.png\n"
                                           "many,a.png,what, exactly,\n"
                                           "quote,a.png,\"x\"y,\n"
                                           "\"a setting\",a.png,q,{\n"
                                           " bytes ,\xff.png,q,\n"
                                           "\"x\"y,a.png,q,\n"
                                           "\xff,a.png,q,\n"
                                           "few,a.png,q,\n");
  EXPECT_THAT(ids_of(items),
              ElementsAre("few", "many", "quote", "a setting", "bytes", "7 (no id)", "8 (no id)", "few"));
  for (const ReadItem& item : items) EXPECT_TRUE(item.error) << item.item->id;
  EXPECT_EQ(items.back().error->code, ErrorCode::duplicate_id);
  // Behind a comma that nobody quoted, another cell stands in the id's place.
  const auto behind = testing::read_listing(folder, "q.csv",
                                            "question,image,id\n"
                                            "what, exactly,a.png,7\n"
                                            "\"what\",a.png,8,\"x\"y\n"
                                            "what,a.png,a.png\n");
  EXPECT_THAT(ids_of(behind), ElementsAre("2 (no id)", "8", "a.png"));
  EXPECT_FALSE(behind.back().error);
}

TEST(Csv, LinesMayEndWithCrAlone) {
  TempFolder folder;
  const auto items = testing::read_listing(
      folder, "q.csv",
      "image,question\ra.png,one\r\"b.png\",\"two\nlines\"\r\rc.png,three\rd.png,\"x\"y\re.png,z");
  EXPECT_THAT(ids_of(items), ElementsAre("2", "3", "6", "7 (no id)", "8"));
  EXPECT_EQ(items[1].item->prompt, "two\nlines");
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("q.csv:7: text after the closing quote"));
  EXPECT_EQ(testing::fault(items[4]), "");
}

TEST(Csv, SpacesBehindCommasAreAWayOfWriting) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.csv",
                                           "id, image, question, answers\n"
                                           "a, x.png, what is it?, \"[\"\"blue, or so\"\"]\"\n"
                                           "b, x.png, \"what, then?\" , green\n");
  EXPECT_THAT(faults_of(items), ElementsAre("", ""));
  EXPECT_EQ(items[0].item->images[0].written, "x.png");
  EXPECT_EQ(items[0].item->prompt, "what is it?");
  EXPECT_THAT(items[0].item->references, ElementsAre("blue, or so"));
  EXPECT_EQ(items[1].item->prompt, "what, then?");
  EXPECT_THAT(items[1].item->references, ElementsAre("green"));
  const auto others =
      testing::read_listing(folder, "q.csv", "id,prompt,answer\na, once, x\nb, once,x\n", "task: generate");
  EXPECT_EQ(others[0].item->prompt, "once") << "the whole record is written so";
  EXPECT_EQ(others[1].item->prompt, " once") << "the space may be meant";
}

TEST(Csv, AColumnWithoutANameIsTheIndexOfPandas) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.csv", ",image,question\n0,a.png,q\n1,b.png,r\n");
  EXPECT_THAT(faults_of(items), ElementsAre("", ""));
  EXPECT_EQ(items[1].item->metadata, R"({"Unnamed: 0":"1"})");
}

TEST(Csv, ListsAreReadAsJsonAndPythonWriteThemOrRefused) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.csv",
                                           "image,question,answers\n"
                                           "a.png,q,\"['blue', \"\"it's\"\"]\"\n"
                                           "a.png,q,\"[\"\"blue\"\", 2.0]\"\n"
                                           "a.png,q,['blue' 'azure']\n"
                                           "a.png,q,3.10\n");
  EXPECT_THAT(items[0].item->references, ElementsAre("blue", "it's"));
  EXPECT_THAT(items[1].item->references, ElementsAre("blue", "2.0"));
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("q.csv:4: column 'answers' begins as a list does"));
  EXPECT_THAT(items[3].item->references, ElementsAre("3.10"));
  const auto single =
      testing::read_listing(folder, "q.csv", "image,question,answer\na.png,q,\"['blue', 'azure']\"\n");
  EXPECT_THAT(testing::fault(single[0]), HasSubstr("name the column 'answers'"));
  const auto image = testing::read_listing(folder, "q.csv", "image,question\n\"['a.png', 'b.png']\",q\n");
  EXPECT_THAT(testing::fault(image[0]), HasSubstr("name the column 'images'"));
  for (const char* written : {"('a', 'b')", "{'a'}", "array(['a', 'b'], dtype=object)"}) {
    const auto other = testing::read_listing(
        folder, "q.csv", std::string("image,question,answers\na.png,q,\"") + written + "\"\n");
    EXPECT_THAT(testing::fault(other[0]), HasSubstr("tuple, set or array")) << written;
  }
  const auto text = testing::read_listing(folder, "q.csv", "image,question,answer\na.png,q,(left)\n");
  EXPECT_THAT(text[0].item->references, ElementsAre("(left)"));
}

TEST(Csv, ChoicesAreAListAsLabelsAre) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.csv",
                                           "image,question,choices\n"
                                           "a.png,q,\"[\"\"yellow\"\", \"\"blue\"\"]\"\n"
                                           "a.png,q,\"['yellow','blue']\"\n"
                                           "a.png,q,yellow\n"
                                           "a.png,q,\"[1, 2]\"\n");
  const std::vector<std::string> two = {"yellow", "blue"};
  for (const std::size_t i : {0, 1}) {
    ASSERT_EQ(testing::fault(items[i]), "");
    EXPECT_EQ(items[i].item->generation.at(0), (std::pair<std::string, GenerationValue>("choices", two)));
  }
  EXPECT_EQ(std::get<std::vector<std::string>>(items[2].item->generation.at(0).second).size(), 1u);
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("list of texts: numbers, true and false stand in quotes"));
}

TEST(Csv, CellsHoldJsonWhereTheirKeysDo) {
  TempFolder folder;
  const auto items = testing::read_listing(
      folder, "q.csv",
      "image,question,response_format,image_tokens,answer\n"
      "a.png,q,\"{\"\"type\"\": \"\"json_object\"\"}\",\"{\"\"max\"\": 64}\",\"{\"\"a\"\": 1.50}\"\n"
      "a.png,q,json_object,,\n");
  ASSERT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->generation.at(0).first, "response_format");
  EXPECT_EQ(items[0].item->image_budget.max_tokens, 64);
  EXPECT_THAT(items[0].item->references, ElementsAre(R"({"a":1.50})"));
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("column 'response_format' must be JSON: "));
  const auto several =
      testing::read_listing(folder, "q.csv", "image,question,answers\na.png,q,\"{\"\"a\"\": 1}\"\n");
  EXPECT_THAT(several[0].item->references, ElementsAre(R"({"a":1})"));
  const auto pages = testing::read_listing(folder, "q.csv",
                                           "document,question,pages\n"
                                           "a.pdf,q,\"[1, 3]\"\n"
                                           "a.pdf,q,\"1-2, 5\"\n");
  for (const ReadItem& item : pages) ASSERT_EQ(testing::fault(item), "");
}

}  // namespace
}  // namespace mmbatch
