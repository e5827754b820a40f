#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <fstream>
#include <random>

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

void write_gz(const std::filesystem::path& file, const std::string& content) {
  gzFile out = gzopen(file.c_str(), "wb");
  gzwrite(out, content.data(), static_cast<unsigned>(content.size()));
  gzclose(out);
}

TEST(Jsonl, EveryKindOfBadLineIsOneFailedItem) {
  TempFolder folder;
  const std::string deep = R"({"image": "a.png", "question": "q", "metadata": )" + std::string(100, '[') +
                           std::string(100, ']') + "}";
  const std::string million = R"({"metadata": )" + std::string(1'000'000, '[');
  const auto items = testing::read_listing(
      folder, "q.jsonl",
      "\xEF\xBB\xBF{\"id\": \"first\", \"image\": \"a.png\", \"question\": \"q\"}\r\n"  // line 1:
                                                                                        // BOM, CR LF
      "\n   \n"
      "{\"image\": \"a.png\", \"question\": \"q\"\n"                        // 4: not closed
      "[1, 2]\n"                                                            // 5: no object
      "{\"image\": \"a.png\", \"question\": \"\xff\"}\n"                    // 6: bad UTF-8
      "{\"image\": \"a.png\", \"qustion\": \"q\"}\n"                        // 7: unknown key
      "{\"image\": \"a.png\", \"question\": 5}\n"                           // 8: ill-typed
      "{\"image\": \"a.png\", \"question\": \"q\", \"question\": \"r\"}\n"  // 9: twice
          + deep + "\n" + million +
          "\n"  // 10, 11
          "{\"id\": 12, \"image\": \"a.png\", \"question\": \"q\", \"metadata\": {\"a\": [1, "
          "null]}}\n"                                                         // 12
          "{\"id\": \"x\"} trailing\n"                                        // 13
          "{\"id\": \"first\", \"image\": \"a.png\", \"question\": \"q\"}\n"  // 14: duplicate
          "{\"id\": \"\", \"image\": \"a.png\", \"question\": \"q\"}\n"       // 15: empty id
          "{\"image\": \"a.png\", \"question\": \"q\", \"answers\": [\"a\", 3, {\"answer\": "
          "\"b\"}]}");  // 16: no line end
  ASSERT_EQ(items.size(), 14u);
  const std::string q = (folder / "q.jsonl").string();
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->id, "first");
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("invalid_item: " + q + ":4:35: invalid JSON"));
  EXPECT_EQ(items[1].item->id, "4 (no id)") << "4 may be the id of another item";
  EXPECT_EQ(items[1].item->position, 2u);
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("must be a map"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr(q + ":6:33: invalid UTF-8"));
  EXPECT_EQ(testing::fault(items[4]),
            "unknown_key: " + q + ":7:20: unknown key 'qustion' in an item, did you mean 'question'?");
  EXPECT_EQ(testing::fault(items[5]), "invalid_value: " + q + ":8:20: key 'question' must be a text");
  EXPECT_THAT(testing::fault(items[6]), HasSubstr("key 'question' is given twice"));
  EXPECT_THAT(testing::fault(items[7]), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(testing::fault(items[8]), HasSubstr("nested deeper than 64"));
  EXPECT_EQ(testing::fault(items[9]), "");
  EXPECT_EQ(items[9].item->id, "12");
  EXPECT_EQ(items[9].item->metadata, R"({"a":[1,null]})");
  EXPECT_THAT(testing::fault(items[10]), HasSubstr("invalid JSON"));
  EXPECT_THAT(testing::fault(items[11]), HasSubstr("duplicate_id: "));
  EXPECT_THAT(testing::fault(items[12]), HasSubstr("'id' must be"));
  EXPECT_THAT(items[13].item->references, ElementsAre("a", "3", "b"));
}

TEST(Listings, ASettingOutsideOfGenerationIsToldWhereItBelongs) {
  const testing::TempFolder folder;
  const auto items =
      testing::read_listing(folder, "q.jsonl",
                            R"({"id": "a", "image": "a.png", "question": "q", "max_new_tokens": 4}
{"id": "b", "image": "a.png", "question": "q", "temprature": 4}
)");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_THAT(testing::fault(items[0]),
              HasSubstr("in an item, write it as 'generation: {max_new_tokens: …}'"));
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("did you mean 'generation: {temperature: …}'?"));
}

TEST(Jsonl, AnOverlongLineFailsAndTheNextIsRead) {
  TempFolder folder;
  const auto items = testing::read_listing(
      folder, "q.jsonl", "{\"prompt\": \"" + std::string(33u << 20, 'x') + "\"}\n{\"prompt\": \"y\"}\n",
      "task: generate");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("line longer than 32 MiB"));
  EXPECT_EQ(items[1].item->id, "2");
  EXPECT_EQ(testing::fault(items[1]), "");
}

TEST(Jsonl, GzipIsReadAndACutOffFileSaysSo) {
  TempFolder folder;
  std::string lines;
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) lines += "{\"prompt\": \"" + std::to_string(random()) + "\"}\n";
  write_gz(folder / "q.jsonl.gz", lines);
  const auto file = folder.write("m.yaml", "jobs: [{task: generate, items: q.jsonl.gz}]");
  EXPECT_EQ(testing::read_all(read_manifest(file)).size(), 20000u);
  const std::string whole = testing::read_text(folder / "q.jsonl.gz");
  folder.write("q.jsonl.gz", whole.substr(0, whole.size() / 2));
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_GT(items.size(), 1000u);
  EXPECT_THAT(testing::fault(items.back()), HasSubstr((folder / "q.jsonl.gz").string()));
  EXPECT_THAT(testing::fault(items.back()), HasSubstr("cannot be read to its end: the compressed data ends"));
}

TEST(Jsonl, GzipFilesMayFollowEachOtherAndNothingElseMayFollowThem) {
  TempFolder folder;
  write_gz(folder / "one.gz", "{\"prompt\": \"x\"}\n");
  const std::string one = testing::read_text(folder / "one.gz");
  const auto read = [&](const std::string& bytes) {
    folder.write("q.jsonl.gz", bytes);
    return testing::read_all(
        read_manifest(folder.write("m.yaml", "jobs: [{task: generate, items: q.jsonl.gz}]")));
  };
  EXPECT_EQ(read(one + one + one).size(), 3u);
  EXPECT_EQ(read(one + std::string(1024, '\0')).size(), 1u) << "as tapes pad it";
  std::string damaged = one;
  damaged[0] = 'x';  // so that the second is not a gzip file any more
  for (const std::string& more : {damaged, std::string("and more"), one.substr(0, 1)}) {
    const auto items = read(one + more);
    ASSERT_EQ(items.size(), 2u);
    EXPECT_EQ(testing::fault(items[0]), "");
    EXPECT_THAT(testing::fault(items[1]), HasSubstr("is not compressed"));
  }
  damaged = one;
  damaged[damaged.size() - 6] ^= 1;  // of its checksum
  const auto items = read(damaged);
  EXPECT_THAT(testing::fault(items.back()), HasSubstr("is damaged"));
}

TEST(Jsonl, StreamsInConstantMemory) {
  TempFolder folder;
  constexpr std::uint64_t kItems = 200'000;
  {
    std::ofstream out(folder / "q.jsonl");
    const std::string filler(400, 'x');
    for (std::uint64_t i = 0; i < kItems; ++i) {
      out << R"({"id": "item-)" << i << R"(", "image": "a.png", "question": ")" << filler << "\"}\n";
    }
  }
  const auto file = folder.write("m.yaml", "jobs: [{task: vqa, items: q.jsonl}]");
  const Manifest manifest = read_manifest(file);
  const auto resident_kib = [] {
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = resident_kib();
  const auto reader = open_items(manifest);
  std::uint64_t count = 0;
  while (auto item = reader->next()) count += item->error ? 0 : 1;
  EXPECT_EQ(count, kItems);
  EXPECT_EQ(count_items(manifest), kItems);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(resident_kib() - before, 40 * 1024);  // the file is 90 MB
#else
  (void)before;
#endif
}

TEST(JsonList, ElementsAreReadOneByOne) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.json", R"( [
  {"image": "a.png", "question": "brackets ]}, and \"quotes\" in text"},
  {"image": "b.png",
   "questio": "q"},
  5,
  {"image": "b.png", "question": "no end quote},
  {"image": "c.png", "question": "q"}
] )");
  ASSERT_EQ(items.size(), 5u);
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->id, "1");
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("q.json:4:4: unknown key 'questio'"));
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("must be a map"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("q.json:6"));
}

TEST(JsonList, BrokenListsSaySo) {
  TempFolder folder;
  EXPECT_TRUE(testing::read_listing(folder, "q.json", "[]").empty());
  const std::string good = R"({"prompt": "x"})";
  const auto open = testing::read_listing(folder, "q.json", "[" + good, "task: generate");
  ASSERT_EQ(open.size(), 1u);
  EXPECT_THAT(testing::fault(open[0]), HasSubstr("ends inside the list"));
  const auto trailing = testing::read_listing(folder, "q.json", "[" + good + "] x", "task: generate");
  ASSERT_EQ(trailing.size(), 2u);
  EXPECT_THAT(testing::fault(trailing[1]), HasSubstr("after the end"));
  const auto comma = testing::read_listing(folder, "q.json", "[" + good + ",]", "task: generate");
  ASSERT_EQ(comma.size(), 2u);
  EXPECT_THAT(testing::fault(comma[1]), HasSubstr("expected an item"));
}

/// As UTF-16 with a byte order mark, little-endian.
std::string utf16(const std::string& ascii) {
  std::string wide = "\xff\xfe";
  for (const char c : ascii) wide += {c, '\0'};
  return wide;
}

TEST(Listings, Utf16AndNulBytesAreNamedWithTheirLine) {
  TempFolder folder;
  const std::string item = "{\"image\": \"a.png\", \"question\": \"q\"}\n";
  const auto items = testing::read_listing(folder, "q.jsonl", utf16(item + item));
  ASSERT_EQ(items.size(), 3u) << "the last is the half of a line end";
  EXPECT_THAT(testing::fault(items[0]),
              HasSubstr("q.jsonl:1:1: UTF-16, where UTF-8 is expected: convert the file"));
  EXPECT_THAT(testing::fault(items[1]),
              HasSubstr("q.jsonl:2:1: a NUL byte, which text does not have; if it is UTF-16"));
  const auto cut = testing::read_listing(folder, "q.jsonl", item + std::string(7, '\0') + "\n" + item);
  EXPECT_EQ(testing::fault(cut[0]) + testing::fault(cut[2]), "");
  EXPECT_THAT(testing::fault(cut[1]), HasSubstr("q.jsonl:2:1: a NUL byte"));
  const auto refused = [&](const std::string& name, const std::string& content) {
    return testing::error_of<UsageError>([&] { testing::read_listing(folder, name, content); });
  };
  EXPECT_THAT(refused("q.csv", utf16("image,question\na.png,q\n")),
              HasSubstr("q.csv:1: the header line: UTF-16"));
  EXPECT_THAT(refused("q.json", utf16("[]")), HasSubstr("q.json:1: UTF-16"));
}

TEST(Listings, APointerOfGitLfsSaysWhatItIs) {
  TempFolder folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  for (const char* name : {"q.jsonl", "q.csv", "q.json", "q.tar", "q.jsonl.gz"}) {
    EXPECT_THAT(
        testing::error_of<UsageError>([&] { testing::read_listing(folder, name, pointer); }),
        HasSubstr(std::string(name) + ": a Git LFS pointer, not the file itself: run 'git lfs pull'"));
  }
}

TEST(Jsonl, LinesMayEndWithCrAlone) {
  TempFolder folder;
  const auto items = testing::read_listing(
      folder, "q.jsonl", "{\"prompt\": \"a\"}\r{\"prompt\": \"b\"}\r\r{\"prompt\": 5}\r", "task: generate");
  EXPECT_THAT(ids_of(items), ElementsAre("1", "2", "4 (no id)"));
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("q.jsonl:4:2: key 'prompt' must be a text"));
}

TEST(Listings, TabsSeparateTsvFiles) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.TSV", "id\timage\tquestion\na\tx.png\twhat, then?\n");
  EXPECT_THAT(faults_of(items), ElementsAre(""));
  EXPECT_EQ(items[0].item->prompt, "what, then?");
}

TEST(Listings, NumbersAsReferencesKeepTheirSpelling) {
  TempFolder folder;
  const auto items =
      testing::read_listing(folder, "q.jsonl",
                            "{\"image\": \"a\", \"question\": \"q\", \"answer\": 3.10}\n"
                            "{\"image\": \"a\", \"question\": \"q\", \"answers\": [1e5, 100.00]}\n");
  EXPECT_THAT(items[0].item->references, ElementsAre("3.10"));
  EXPECT_THAT(items[1].item->references, ElementsAre("1e5", "100.00"));
}

TEST(Listings, MadeUpIdsAreNoOtherItems) {
  TempFolder folder;
  const auto items = testing::read_listing(folder, "q.jsonl",
                                           "{\"id\": \"2\", \"prompt\": \"a\"}\n"
                                           "{\"prompt\": \"b\"}\n"
                                           "{broken\n"
                                           "{\"id\": \"3\", \"prompt\": \"c\"}\n"
                                           "{\"id\": \"3 (no id)\", \"prompt\": \"c\"}\n"
                                           "{\"prompt\": \"d\"}\n"
                                           "{\"id\": \"6\", \"prompt\": \"e\"}\n",
                                           "task: generate");
  EXPECT_THAT(ids_of(items), ElementsAre("2", "2 (no id)", "3 (no id)", "3", "3 (no id)", "6", "6"));
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(testing::fault(items[3]), "");
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("duplicate_id"));
  EXPECT_THAT(testing::fault(items[6]), HasSubstr("was given it because it has none"));
}

TEST(Listings, AnItemMayLookLikeARequestInside) {
  TempFolder folder;
  const auto items = testing::read_listing(
      folder, "q.jsonl",
      R"({"id": "a", "prompt": "x", "metadata": {"custom_id": "b", "method": "POST", "body": {}}})"
      "\n",
      "task: generate");
  EXPECT_THAT(faults_of(items), ElementsAre(""));
  EXPECT_EQ(items[0].item->metadata, R"({"custom_id":"b","method":"POST","body":{}})");
  EXPECT_EQ(items[0].item->metadata_digest, R"({"body":{},"custom_id":"b","method":"POST"})");
}

TEST(Listings, AJsonListMayHaveTheNameOfJsonl) {
  TempFolder folder;
  const auto ids = [&](const std::string& content) {
    return ids_of(testing::read_listing(folder, "q.jsonl", content, "task: generate"));
  };
  const std::string one = R"({"id": "a", "prompt": "x"})", two = R"({"id": "b", "prompt": "y"})";
  EXPECT_THAT(ids("[\n " + one + ",\n" + two + "\n]\n"), ElementsAre("a", "b"));
  EXPECT_THAT(ids("[" + one + ", " + two + "]"), ElementsAre("a", "b"));
  EXPECT_THAT(ids("[" + one + ",\n" + two + "]"), ElementsAre("a", "b"));
  EXPECT_THAT(ids("[1, 2]\n" + one + "\n" + two), ElementsAre("1 (no id)", "a", "b"));
  EXPECT_THAT(ids("[" + one + "]\n" + two), ElementsAre("1 (no id)", "b"));
  EXPECT_THAT(ids("[1, 2\n" + one), ElementsAre("1 (no id)", "a"));
}

TEST(Listings, AnImageMayBeBareBase64) {
  TempFolder folder;
  const std::string picture = "iVBORw0KGgo" + std::string(3000, 'A');
  const auto items =
      testing::read_listing(folder, "q.jsonl",
                            R"({"image": ")" + picture + R"(", "question": "q"})" + "\n" + R"({"image": "x)" +
                                std::string(5000, 'y') + R"(", "question": "q"})");
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->images[0].data, picture);
  EXPECT_LT(items[0].item->images[0].written.size(), 100u);
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("data:image/png;base64,"));
  EXPECT_LT(testing::fault(items[1]).size(), 500u);
}

TEST(Listings, ImagesLieBesideTheListingUnlessThereIsARoot) {
  TempFolder folder;
  folder.write("lists/q.jsonl", R"({"image": "a.png", "question": "q"})");
  std::filesystem::create_directory(folder / "root");
  const auto file = folder.write("m.yaml",
                                 "jobs: [{name: a, task: vqa, items: lists/q.jsonl},"
                                 "{name: b, task: vqa, items: lists/q.jsonl, image_root: root/}]");
  const auto items = testing::read_all(read_manifest(file));
  EXPECT_EQ(items[0].item->images[0].path, folder / "lists/a.png");
  EXPECT_EQ(items[1].item->images[0].path, folder / "root/a.png");
  EXPECT_EQ(items[1].item->id, "1");
}

TEST(Listings, FifosAndFoldersAreRefusedWithoutWaiting) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "q.jsonl").c_str(), 0600), 0);
  std::filesystem::create_directory(folder / "f.jsonl");
  for (const char* extension : {"json", "csv", "tsv"})
    ASSERT_EQ(::mkfifo((folder / (std::string("q.") + extension)).c_str(), 0600), 0);
  EXPECT_THAT(testing::error_of<UsageError>([&] { read_manifest(folder / "q.jsonl"); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(testing::error_of<UsageError>([&] { read_manifest("/dev/zero"); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(testing::error_of<UsageError>([&] { read_manifest(folder.path()); }), HasSubstr("a folder"));
  for (const char* name : {"q.jsonl", "f.jsonl", "q.json", "q.csv", "q.tsv"}) {
    const auto file = folder.write("m.yaml", std::string("jobs: [{task: vqa, items: ") + name + "}]");
    EXPECT_THAT(testing::error_of<UsageError>([&] { read_manifest(file); }), HasSubstr("not a regular file"));
  }
}

/// Random changes to good inputs: whatever they become, reading ends, with items or a UsageError.
TEST(Listings, SurviveRandomChanges) {
  TempFolder folder;
  const std::vector<std::pair<std::string, std::string>> seeds = {
      {"q.jsonl",
       "{\"id\": 1, \"image\": \"a.png\", \"question\": \"q\", \"metadata\": {\"a\": [1.5, \"\\u00e9\"]}}\n"
       "{\"image\": \"b.png\", \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n"
       "{\"custom_id\": \"a\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\", \"body\": {"
       "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"x\"}]}], \"n\": "
       "2}}\n"},
      {"q.json",
       "[{\"image\": \"a.png\", \"question\": \"q\"}, {\"images\": [\"a\", \"b\"], \"question\": \"\"}]"},
      {"q.csv", "id,image,question,answers\r\n1,a.png,\"x \"\"y\"\"\nz\",\"[1]\"\r\n2,b.png,q,\r\n"},
      {"m.yaml",
       "generation: {top_p: 0.5, stop_strings: [a]}\njobs:\n- &a {name: x, task: vqa, question: q, items: "
       "[{image: a.png, answers: [yes]}, {image: b.png, generation: {seed: 1}}]}\n- {<<: *a, name: y}\n"}};
  std::mt19937 random(7);
  const std::string alphabet = "{}[]\",:\\\n\r\t &*<>#!|-?%@`'~ae0.\xff\x80\xe2";
  for (const auto& [name, seed] : seeds) {
    for (int round = 0; round < 400; ++round) {
      std::string text = seed;
      for (unsigned edits = 1 + random() % 6; edits > 0; --edits) {
        const std::size_t at = random() % text.size();
        const std::size_t length = std::min<std::size_t>(random() % 8, text.size() - at);
        switch (random() % 4) {
          case 0:
            text[at] = alphabet[random() % alphabet.size()];
            break;
          case 1:
            text.insert(at, 1, alphabet[random() % alphabet.size()]);
            break;
          case 2:
            text.erase(at, length);
            break;
          default:
            text.insert(at, text.substr(random() % text.size(), length));
            break;
        }
        if (text.empty()) text = "x";
      }
      folder.write(name, text);
      const std::string manifest = name == "m.yaml" ? name : "l.yaml";
      if (name != "m.yaml") folder.write("l.yaml", "jobs: [{task: vqa, items: " + name + "}]");
      try {
        for (const ReadItem& item : testing::read_all(read_manifest(folder / manifest))) {
          EXPECT_FALSE(item.item->id.empty());
          EXPECT_TRUE(item.error || !item.item->prompt.empty());
        }
      } catch (const UsageError&) {
      }
    }
  }
}

/// Root reads everything: another user, for as long as this lives.
class AsNobody {
 public:
  AsNobody() { is_root_ = ::geteuid() == 0 && ::seteuid(65534) == 0; }
  ~AsNobody() {
    if (is_root_ && ::seteuid(0) != 0) std::abort();
  }

 private:
  bool is_root_ = false;
};

TEST(Glob, FoldersThatCannotBeReadAreFailedRows) {
  const TempFolder folder;
  ::chmod(folder.path().c_str(), 0755);
  for (const char* name : {"a", "b"}) std::filesystem::create_directory(folder / name);
  folder.write("a/1.png", "P");
  folder.write("b/2.png", "P");
  const auto file = folder.write("m.yaml", "jobs: [{name: j, task: vqa, question: q, items: '*/*.png'}]");
  ::chmod((folder / "b").c_str(), 0);
  std::vector<ReadItem> items;
  std::string refused;
  {
    const AsNobody nobody;
    items = testing::read_all(read_manifest(file));
  }
  ::chmod((folder / "a").c_str(), 0);
  {
    const AsNobody nobody;
    refused = testing::error_of<UsageError>([&] { testing::read_all(read_manifest(file)); });
  }
  for (const char* name : {"a", "b"}) ::chmod((folder / name).c_str(), 0755);
  EXPECT_THAT(ids_of(items), ElementsAre("a/1.png", (folder / "b").string()));
  EXPECT_THAT(testing::fault(items.back()), HasSubstr("b: the folder cannot be read: Permission denied"));
  EXPECT_THAT(refused, HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace mmbatch
