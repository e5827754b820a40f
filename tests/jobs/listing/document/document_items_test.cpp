#include "jobs/listing/document/document_items.h"

#include <gmock/gmock.h>

#include "jobs/item/content_key.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::fault;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempFolder;

/// Items of a manifest, whose documents have three pages, and whose videos take ten seconds.
std::vector<ReadItem> read(const TempFolder& folder, const std::string& item, const std::string& more = "") {
  const auto file =
      folder.write("m.yaml", "jobs: [{name: j, task: vqa, question: q, items: [" + item + "]" + more + "}]");
  const PartsCounter count = [](const Item::Image& image, const PartsQuestion&) -> FileParts {
    if (image.written == "none.pdf") throw ItemError(ErrorCode::image_missing, "no such file");
    return {3, 10};
  };
  ManifestOptions options;
  options.count_parts = count;
  return testing::read_all(read_manifest(file, options));
}

std::vector<std::string> ids(const std::vector<ReadItem>& items) {
  std::vector<std::string> out;
  for (const ReadItem& item : items) out.push_back(item.item->id + fault(item));
  return out;
}

TEST(DocumentItems, OneForEachPage) {
  const TempFolder folder;
  const auto items = read(folder, "{id: a, document: x.pdf, answer: '5'}");
  EXPECT_THAT(ids(items), ElementsAre("a#page=1", "a#page=2", "a#page=3"));
  const Item& second = *items[1].item;
  EXPECT_EQ(second.document, "x.pdf");
  EXPECT_EQ(second.page, 2u);
  EXPECT_EQ(second.position, 2u);
  ASSERT_EQ(second.images.size(), 1u);
  EXPECT_EQ(second.images[0].written, "x.pdf#page=2");
  EXPECT_EQ(second.images[0].part, (ImagePart{.page = 2, .dpi = 144, .pixels = 4'000'000}));
  EXPECT_THAT(second.references, ElementsAre("5"));
  EXPECT_THAT(ids(read(folder, "{id: a, document: x.pdf, pages: '2-, 1'}")),
              ElementsAre("a#page=2", "a#page=3", "a#page=1"));
  EXPECT_THAT(ids(read(folder, "{id: a, document: x.pdf, pages: 7}")), ElementsAre("a#page=7"));
  EXPECT_THAT(ids(read(folder, "{document: x.pdf}, {document: y.pdf, pages: [2]}")),
              ElementsAre("1#page=1", "1#page=2", "1#page=3", "2#page=2"));
}

TEST(DocumentItems, AllPagesInOne) {
  const TempFolder folder;
  const auto items = read(folder, "{id: a, document: x.pdf, pages_as: images, dpi: 100, page_pixels: 5000}");
  ASSERT_THAT(ids(items), ElementsAre("a"));
  EXPECT_EQ(items[0].item->images.size(), 3u);
  EXPECT_EQ(items[0].item->page, 0u);
  EXPECT_EQ(items[0].item->images[2].part, (ImagePart{.page = 3, .dpi = 100, .pixels = 5000}));
  const auto turns = read(folder, "{id: a, document: x.pdf, messages: [{role: user, content: hello}]}",
                          ", pages_as: images");
  EXPECT_EQ(turns[0].item->messages[0].images, 3u);
}

TEST(DocumentItems, MomentsOfAVideo) {
  const TempFolder folder;
  const auto four = read(folder, "{id: a, video: x.mp4, frames: 4}");
  ASSERT_THAT(ids(four), ElementsAre("a"));
  EXPECT_EQ(four[0].item->frame_times, "[1.25, 3.75, 6.25, 8.75]");
  EXPECT_EQ(four[0].item->images[1].written, "x.mp4#t=3.75");
  EXPECT_EQ(read(folder, "{id: a, video: x.mp4, fps: 0.5}")[0].item->frame_times, "[0, 2, 4, 6, 8]");
  EXPECT_EQ(read(folder, "{id: a, video: x.mp4, times: [1, 2.5]}")[0].item->frame_times, "[1, 2.5]");
  EXPECT_EQ(read(folder, "{id: a, video: x.mp4}")[0].item->images.size(), 8u);
  EXPECT_EQ(four[0].item->video_length, 10.0);  // as a video, where the model takes some
  EXPECT_EQ(read(folder, "{id: a, video: x.mp4, times: [1, 2.5]}")[0].item->video_length, 0.0);
  EXPECT_FALSE(read(folder, "{id: a, video: x.mp4, video_input: frames}")[0].item->video_length);
  EXPECT_THAT(fault(read(folder, "{id: a, video: x.mp4, fps: 200}")[0]), HasSubstr("at most 1024"));
}

TEST(DocumentItems, OneImagePartStandsForAllThatIsShown) {
  const TempFolder folder;
  const auto items =
      read(folder,
           "{id: a, video: x.mp4, frames: 2, messages: [{role: user, content: [{type: text, text: "
           "see}, {type: image}, {type: text, text: 'and {\"type\":\"image\"}'}]}]}");
  ASSERT_EQ(fault(items[0]), "");
  EXPECT_EQ(items[0].item->messages[0].images, 2u);
  EXPECT_EQ(items[0].item->messages[0].parts,
            R"([{"type":"text","text":"see"},{"type":"image"},{"type":"image"},)"
            R"({"type":"text","text":"and {\"type\":\"image\"}"}])");
}

TEST(DocumentItems, SayWhatIsWrong) {
  const TempFolder folder;
  const auto problem = [&](const std::string& item) { return fault(read(folder, item).at(0)); };
  EXPECT_THAT(problem("{id: a, document: none.pdf}"), HasSubstr("image_missing: "));
  EXPECT_THAT(problem("{id: a, document: x.pdf, pages: '9-'}"), HasSubstr("there is no page 9: it has 3"));
  EXPECT_THAT(problem("{id: a, document: x.pdf, pages: first}"), HasSubstr("'pages' must be all"));
  EXPECT_THAT(problem("{id: a, document: x.pdf, pages: '3-1'}"), HasSubstr("'pages' must be all"));
  EXPECT_THAT(problem("{id: a, document: x.pdf, image: y.png}"), HasSubstr("both 'image' and 'document'"));
  EXPECT_THAT(problem("{id: a, document: x.pdf, video: y.mp4}"), HasSubstr("both 'document' and 'video'"));
  EXPECT_THAT(problem("{id: a, image: x.png, pages: 3}"), HasSubstr("'pages' has no meaning without"));
  for (const char* key : {"frames: 2", "fps: 1", "times: [1]", "video_input: frames"})
    EXPECT_THAT(problem(std::string("{id: a, document: d.pdf, ") + key + "}"),
                HasSubstr("has no meaning for a document: it is about the frames of a video"));
  for (const char* key : {"pages: 2", "dpi: 72", "pages_as: images", "page_pixels: 5000"})
    EXPECT_THAT(problem(std::string("{id: a, video: v.mp4, ") + key + "}"),
                HasSubstr("has no meaning for a video: it is about the pages of a document"));
  EXPECT_THAT(problem("{id: a, document: x.pdf, dpi: 5}"), HasSubstr("from 36 to 600"));
  EXPECT_THAT(problem("{id: a, video: x.mp4, fps: 1, frames: 2}"), HasSubstr("one is allowed"));
  EXPECT_THAT(problem("{id: a, video: x.mp4, times: [1000001]}"), HasSubstr("each from 0 to 1000000"));
}

TEST(DocumentItems, PagesAndResolutionsHaveKeysOfTheirOwn) {
  const TempFolder folder;
  const auto key = [](const ReadItem& read) {
    ContentParts parts;
    parts.item = read.item.get();
    parts.image_sha256 = {"same"};
    return content_key(parts);
  };
  const auto pages = read(folder, "{id: a, document: x.pdf}");
  EXPECT_NE(key(pages[0]), key(pages[1]));
  EXPECT_NE(key(pages[0]), key(read(folder, "{id: a, document: x.pdf, dpi: 72}")[0]));
  EXPECT_EQ(key(pages[0]), key(read(folder, "{id: a, document: x.pdf, pages: 1}")[0]));
}

}  // namespace
}  // namespace mmbatch
