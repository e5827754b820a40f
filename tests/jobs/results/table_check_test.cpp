#include "jobs/results/table_check.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <set>
#include <sstream>

#include "jobs/results/database_error.h"
#include "jobs/results/schema.h"
#include "jobs/results/store.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::rows;
using testing::TempFolder;

class TableCheck : public ::testing::Test {
 protected:
  TableCheck() { ResultsStore::open_or_create(file_); }

  void change(const std::string& sql) { Database(file_, Database::Mode::create).run(sql); }
  std::string error_of_reading() {
    return testing::error_of<DatabaseError>([&] { open_for_reading(file_); });
  }
  std::string error_of_writing() {
    return testing::error_of<DatabaseError>([&] { ResultsStore::open_or_create(file_); });
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "r.db";
};

TEST_F(TableCheck, ExpectsAllThatANewDatabaseHas) {
  std::set<std::string> expected, found;
  for (const ExpectedObject& object : expected_objects()) {
    using Kind = ExpectedObject::Kind;
    if (object.kind == Kind::index || object.kind == Kind::unique_index) {
      expected.insert(fmt::format("CREATE {}INDEX {} ON {}",
                                  object.kind == Kind::unique_index ? "UNIQUE " : "", object.name,
                                  object.details));
      continue;
    }
    std::istringstream columns(object.details);
    for (std::string column; columns >> column;) expected.insert(fmt::format("{}.{}", object.name, column));
  }
  for (const std::string& sql :
       rows(file_, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"))
    found.insert(sql);
  for (const std::string& column :
       rows(file_,
            "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = "
            "'table' AND t.name NOT LIKE 'texts\\_%' ESCAPE '\\'"))
    found.insert(column);
  EXPECT_EQ(expected, found);
  EXPECT_EQ(error_of_reading(), "");
  EXPECT_EQ(error_of_writing(), "");
}

TEST_F(TableCheck, AViewInPlaceOfATableIsRefused) {
  change(
      "ALTER TABLE results RENAME TO kept; CREATE VIEW results AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL "
      "SELECT "
      "x + 1 FROM c) SELECT kept.* FROM kept, c");
  EXPECT_THAT(error_of_reading(), AllOf(HasSubstr("another program"), HasSubstr("results is a view")));
  EXPECT_THAT(error_of_writing(), HasSubstr("results is a view"));
}

TEST_F(TableCheck, AVirtualTableInPlaceOfAPlainOneIsRefused) {
  change("DROP TABLE schemas; CREATE VIRTUAL TABLE schemas USING fts5(key, sha256, text)");
  EXPECT_THAT(error_of_reading(), HasSubstr("schemas is a virtual table"));
}

TEST_F(TableCheck, WhatIsMissingIsNamed) {
  change("DROP INDEX items_position");
  EXPECT_THAT(error_of_reading(), HasSubstr("CREATE INDEX items_position ON items(job_key, position)"));
  change("CREATE INDEX items_position ON items(job_key, position); DROP VIEW answers; DROP VIEW history");
  change("DROP INDEX phrases_digest");
  EXPECT_THAT(error_of_reading(), HasSubstr("CREATE UNIQUE INDEX phrases_digest ON phrases(digest)"));
  change("CREATE UNIQUE INDEX phrases_digest ON phrases(digest) WHERE digest IS NOT NULL");
  change("ALTER TABLE results DROP COLUMN details");
  EXPECT_THAT(error_of_reading(), HasSubstr("results has no column details"));
  change("ALTER TABLE results ADD COLUMN details TEXT; DROP TABLE texts");
  EXPECT_THAT(error_of_writing(), HasSubstr("the table texts is missing"));
}

TEST_F(TableCheck, TriggersOfOthersAreRefusedWhereRowsAreWritten) {
  change("CREATE TABLE own(x); CREATE TRIGGER of_own BEFORE INSERT ON own BEGIN SELECT raise(IGNORE); END");
  EXPECT_EQ(error_of_writing(), "");
  change("CREATE TRIGGER quiet BEFORE INSERT ON results BEGIN SELECT raise(IGNORE); END");
  EXPECT_EQ(error_of_reading(), "");
  EXPECT_THAT(error_of_writing(), AllOf(HasSubstr("trigger quiet on results"), HasSubstr("DROP TRIGGER")));
}

TEST_F(TableCheck, AVersionThatNoProgramWroteIsNoInternalError) {
  for (const char* version : {"-3", "0"}) {
    change(fmt::format("PRAGMA user_version = {}", version));
    EXPECT_THAT(error_of_reading(), HasSubstr(fmt::format("of version {}", version)));
    EXPECT_THAT(error_of_writing(), HasSubstr("damaged"));
  }
}

// The shell's .dump writes neither number.
TEST_F(TableCheck, ADumpThatWasReadAgainIsToldHowToBecomeADatabase) {
  change("PRAGMA application_id = 0; PRAGMA user_version = 0");
  const std::string error = error_of_reading();
  const std::string marks =
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, schema_version());
  EXPECT_THAT(error, HasSubstr(marks));
  change(marks);
  EXPECT_EQ(error_of_writing(), "");
}

}  // namespace
}  // namespace mmbatch
