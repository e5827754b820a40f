#include "jobs/listing/archive/samples.h"

#include <gmock/gmock.h>

#include <set>

#include "jobs/media/media.h"
#include "tests/jobs/helpers.h"
#include "tests/jobs/listing/archive/archives.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::fault;
using ::testing::HasSubstr;
using testing::Members;
using testing::TempFolder;

const Members kTwo = {{"data/0001.json", R"({"question": "what?", "answer": "red", "width": 5})"},
                      {"data/0001.png", "PNG1"},
                      {"data/0002.seg.jpg", "JPG2"},
                      {"data/0002.jpg", "JPG3"},
                      {"data/0002.txt", " which one? \n"},
                      {"data/0002.cls", "blue\n"}};

std::vector<ReadItem> read(const TempFolder& folder, const std::string& items, const std::string& more = "") {
  const auto file =
      folder.write("manifest.yaml", "jobs: [{name: j, task: vqa, items: '" + items + "'" + more + "}]");
  return testing::read_all(read_manifest(file));
}

void expect_two(const std::vector<ReadItem>& items, const std::string& archive) {
  ASSERT_EQ(items.size(), 2u);
  for (const ReadItem& item : items) EXPECT_EQ(fault(item), "");
  const Item& one = *items[0].item;
  EXPECT_EQ(one.id, "data/0001");
  EXPECT_EQ(one.prompt, "what?");
  EXPECT_THAT(one.references, ElementsAre("red"));
  EXPECT_EQ(one.metadata, R"({"width":5})");
  ASSERT_EQ(one.images.size(), 1u);
  EXPECT_EQ(one.images[0].written, archive + "/data/0001.png");
  EXPECT_EQ(digest_image(one.images[0], nullptr).sha256,
            "b8fc6f9ab4621d16761cbc0335bbd804b0ebcc3d1d2aa8c757687501adc51aaa");
  EXPECT_EQ(read_image(one.images[0]), (std::vector<unsigned char>{'P', 'N', 'G', '1'}));
  const Item& two = *items[1].item;
  EXPECT_EQ(two.prompt, "which one?");
  EXPECT_THAT(two.references, ElementsAre("blue"));
  EXPECT_EQ(two.images.size(), 2u);
}

TEST(Samples, AreReadFromTarAndZip) {
  const TempFolder folder;
  folder.write("a.tar", testing::tar_of(kTwo));
  expect_two(read(folder, "a.tar"), "a.tar");
  folder.write("a.zip", testing::zip_of(kTwo));
  expect_two(read(folder, "a.zip"), "a.zip");
}

TEST(Samples, ATextIsMetadataWhereTheJobAsks) {
  const TempFolder folder;
  folder.write("a.tar", testing::tar_of({{"x.png", "P"}, {"x.txt", "a caption"}}));
  const auto items = read(folder, "a.tar", ", question: 'what is it?'");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].item->prompt, "what is it?");
  EXPECT_EQ(items[0].item->metadata, R"({"txt":"a caption"})");
}

TEST(Samples, OfSeveralArchivesComeInTheirOrder) {
  const TempFolder folder;
  folder.write("s-1.tar", testing::tar_of({{"b.png", "P"}, {"c.png", "P"}}));
  folder.write("s-0.tar", testing::tar_of({{"a.png", "P"}}));
  const Manifest manifest =
      read_manifest(folder.write("m.yaml", "jobs: [{name: j, task: vqa, question: q, items: 's-*.tar'}]"));
  EXPECT_EQ(count_items(manifest), 3u);
  std::vector<std::string> ids;
  for (const ReadItem& item : testing::read_all(manifest)) ids.push_back(item.item->id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

TEST(Samples, HostileMembersCostTheirItemAlone) {
  const TempFolder folder;
  const std::string large((33u << 20), 'x');
  std::string tar = testing::tar_member("../../etc/passwd.png", "P", 1) +
                    testing::tar_member("/abs.png", "P", 1) +
                    testing::tar_member("link.png", "", 0, '2', "good.png") +
                    testing::tar_member("large.png", large, large.size()) +
                    testing::tar_member("bad.json", "{\"question\": ", 13) +
                    testing::tar_member("good.png", "P", 1) + testing::tar_member("torn.png", "P", 5000);
  folder.write("a.tar", tar);
  const auto items = read(folder, "a.tar", ", question: q");
  std::vector<std::string> faults;
  for (const ReadItem& item : items) faults.push_back(fault(item));
  ASSERT_EQ(faults.size(), 8u);
  EXPECT_THAT(faults[0], HasSubstr("path_refused: "));
  EXPECT_THAT(faults[1], HasSubstr("leads out of the archive"));
  EXPECT_THAT(faults[2], HasSubstr("link.png: a symbolic link to 'good.png'"));
  EXPECT_THAT(faults[3], HasSubstr("image_too_large"));
  EXPECT_THAT(faults[4], HasSubstr("bad.json:1:"));
  EXPECT_EQ(faults[5], "");
  EXPECT_THAT(faults[6], HasSubstr("damaged in the archive"));
  EXPECT_THAT(faults[7], HasSubstr("cannot be read to its end"));
}

TEST(Samples, TheFirstOfAKeyHasItAlsoWhereItFails) {
  const TempFolder folder;
  folder.write("s-0.tar",
               testing::tar_of({{"a.json", "{"}, {"b.json", R"({"question": 1})"}, {"c.png", "P"}}));
  folder.write("s-1.tar", testing::tar_of({{"a.png", "P"}, {"b.json", "{"}, {"d.json", "{"}}));
  std::vector<std::string> ids;
  for (const ReadItem& item : read(folder, "s-*.tar", ", question: q")) ids.push_back(item.item->id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c", "a", "b", "d"));
}

TEST(Samples, LinksAndDevicesAreNamedInTheItemThatLacksThem) {
  const TempFolder folder;
  const auto sample = [](const std::string& id, const std::string& member) {
    return testing::tar_member(id + ".cls", "x", 1) + member;
  };
  const std::string image = testing::tar_member("e.png", "P", 1);
  folder.write("a.tar", sample("a", testing::tar_member("a.png", "", 0, '1', "x.png")) +
                            sample("b", testing::tar_member("b.png", "", 0, '2', "/etc/passwd")) +
                            sample("c", testing::tar_member("c.png", "", 0, '3')) +
                            sample("d", testing::tar_member("d.json", "", 0, '2', "a.json")) +
                            sample("e", image + testing::tar_member("e.latest", "", 0, '2', "e.png")) +
                            std::string(1024, '\0'));
  const auto items = read(folder, "a.tar", ", question: q");
  ASSERT_EQ(items.size(), 5u);
  std::vector<std::string> ids;
  for (const ReadItem& item : items) ids.push_back(item.item->id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c", "d", "e")) << "what fails has its key, too";
  EXPECT_THAT(fault(items[0]), HasSubstr("path_refused: " + (folder.path() / "a.tar").string() +
                                         ": a: a.png: a hard link to 'x.png', and links are not followed"));
  EXPECT_THAT(fault(items[1]), HasSubstr("b.png: a symbolic link to '/etc/passwd'"));
  EXPECT_THAT(fault(items[2]), HasSubstr("c.png: a device, a pipe or a socket"));
  EXPECT_THAT(fault(items[3]), HasSubstr("d.json: a symbolic link to 'a.json'"));
  EXPECT_EQ(fault(items[4]), "") << "what is not read does no harm";
}

/// The metadata of the one item of an archive that has this JSON.
std::string metadata_of(const std::string& json, const Members& more = {}) {
  const TempFolder folder;
  Members members = {{"x.json", json}, {"x.png", "P"}};
  members.insert(members.end(), more.begin(), more.end());
  folder.write("a.tar", testing::tar_of(members));
  const auto items = read(folder, "a.tar", ", question: q");
  EXPECT_EQ(items.size(), 1u);
  return items.front().error ? fault(items.front()) : items.front().item->metadata;
}

TEST(Samples, NoMetadataIsLost) {
  EXPECT_EQ(metadata_of(R"({"image": "other.png"})"), R"({"image":"other.png"})");
  EXPECT_EQ(metadata_of(R"([1])"), R"({"json":[1]})");
  EXPECT_EQ(metadata_of(R"({"metadata": [1]})"), "[1]");
  EXPECT_EQ(metadata_of(R"({"metadata": [1], "shop": 2})"), R"({"metadata":[1],"shop":2})");
  EXPECT_EQ(metadata_of(R"({"metadata": [1]})", {{"x.txt", "t"}}), R"({"metadata":[1],"txt":"t"})");
  EXPECT_EQ(metadata_of(R"({"a": 1, "metadata": {"b": 2, "id": 3}, "c": 4})"),
            R"({"a":1,"b":2,"id":3,"c":4})");
  EXPECT_EQ(metadata_of(R"({"a": 1, "metadata": {"a": 2}})"), R"({"a":1,"metadata":{"a":2}})");
  EXPECT_EQ(metadata_of(R"({"metadata": {"metadata": 1}})"), R"({"metadata":1})");
  EXPECT_EQ(metadata_of(R"({"txt": 1})", {{"x.txt", "t"}}), R"({"txt":1,".txt":"t"})");
  EXPECT_EQ(metadata_of(R"({"metadata": null, "a": 1})"), R"({"a":1})");
  EXPECT_THAT(metadata_of(""), HasSubstr("x.json:1:1: "));
  EXPECT_THAT(metadata_of("{}", {{"x.txt", "a"}, {"x.txt", "b"}}), HasSubstr("x.txt: there twice"));
}

TEST(Samples, AKeyWithNullIsAsIfItWereNotThere) {
  const TempFolder folder;
  folder.write("a.tar", testing::tar_of({{"x.json", R"({"question": null, "answer": null})"},
                                         {"x.png", "P"},
                                         {"x.txt", "what?"},
                                         {"x.cls", "red"}}));
  const auto items = read(folder, "a.tar");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(fault(items[0]), "");
  EXPECT_EQ(items[0].item->prompt, "what?");
  EXPECT_THAT(items[0].item->references, ElementsAre("red"));
}

TEST(Samples, AnArchiveThatWasCutBetweenMembersIsNotWhole) {
  const TempFolder folder;
  const std::string tar = testing::tar_of({{"a.png", "P"}, {"b.1.png", "P"}, {"b.2.png", "P"}});
  folder.write("a.tar", tar.substr(0, 2 * 1024));  // behind b.1.png
  const auto items = read(folder, "a.tar", ", question: q");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(fault(items[0]), "");
  EXPECT_EQ(items[1].item->id, "b");
  for (const std::size_t failed : {1, 2}) EXPECT_THAT(fault(items[failed]), HasSubstr("it was cut"));
}

TEST(Samples, WhatIsPassedOverIsNotUnpackedWithoutEnd) {
  const TempFolder folder;
  // 288 MiB of zeros, and cut: who unpacks them all finds that more are missing.
  constexpr std::size_t kPart = 16u << 20;
  std::string bomb = testing::gzip_of(testing::tar_member("passed.over", "", std::size_t{1} << 32));
  const std::string zeros = testing::gzip_of(std::string(kPart, '\0'));
  for (int i = 0; i < 18; ++i) bomb += zeros;
  folder.write("a.tar.gz", bomb);
  const auto items = read(folder, "a.tar.gz", ", question: q");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_THAT(fault(items[0]), HasSubstr("unpacks to more than 200 times its size"));
}

TEST(Samples, ThousandsOfOneNameFailButTheFirst) {
  const TempFolder folder;
  testing::Members members;
  for (int i = 0; i < 5'000; ++i) {
    members.emplace_back("a.png", "P");
    members.emplace_back("b.png", "P");
  }
  folder.write("a.tar", testing::tar_of(members));
  const auto items = read(folder, "a.tar", ", question: q");
  ASSERT_EQ(items.size(), members.size());
  std::set<std::uint64_t> variants;
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(items[i].item->id, i % 2 == 0 ? "a" : "b");
    EXPECT_EQ(items[i].error.has_value(), i >= 2) << i;
    variants.insert(items[i].item->variant);
  }
  EXPECT_EQ(variants.size(), items.size() - 1);  // the first two have none
  EXPECT_THAT(fault(items[4]),
              HasSubstr("an earlier item of this job has the id 'a', which is the name of these files"));
}

TEST(Samples, ArchivesThatAreNoneEndTheRun) {
  const TempFolder folder;
  folder.write("a.tar", "this is a text, and not an archive of any kind");
  EXPECT_THAT(testing::error_of<UsageError>([&] { read(folder, "a.tar", ", question: q"); }),
              HasSubstr("not an archive that is read"));
  EXPECT_THAT(testing::error_of<UsageError>([&] { read(folder, "none-*.tar"); }),
              HasSubstr("no archive matches"));
  EXPECT_THAT(testing::error_of<UsageError>([&] { read(folder, "none.zip"); }), HasSubstr("no such file"));
}

TEST(Samples, OfSeveralArchivesThoseThatAreNoneAreFailedRows) {
  const TempFolder folder;
  for (const char* name : {"a.tar", "b.tar", "d.tar"})
    folder.write(name, "this is a text, and not an archive");
  folder.write("c.tar", testing::tar_of(kTwo));
  const auto items = read(folder, "*.tar", ", question: q");
  ASSERT_EQ(items.size(), 5u);
  for (const std::size_t failed : {0, 1, 4})
    EXPECT_THAT(fault(items[failed]), HasSubstr("not an archive that is read")) << failed;
  for (const std::size_t read : {2, 3}) EXPECT_EQ(fault(items[read]), "");
}

}  // namespace
}  // namespace mmbatch
