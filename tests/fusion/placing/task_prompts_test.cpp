#include "fusion/placing/task_prompts.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

const TaskPrompt kTasks[] = {{"<CAPTION>", "What is it?"}, {"<FIND>", "Where is {input} here?"}};

TEST(TaskPrompts, AreWrittenOut) {
  EXPECT_EQ(write_out_task(kTasks, "<CAPTION>"), "What is it?");
  EXPECT_EQ(write_out_task(kTasks, "<FIND> a red circle "), "Where is a red circle here?");
  EXPECT_EQ(write_out_task(kTasks, "<FIND>{input}"), "Where is {input} here?");
  EXPECT_EQ(write_out_task(kTasks, "What is in it?"), "What is in it?");
  EXPECT_EQ(write_out_task({}, "<CAPTION>"), "<CAPTION>");
}

TEST(TaskPrompts, TextBesideATaskThatTakesNoneIsRefused) {
  EXPECT_THROW(write_out_task(kTasks, "<CAPTION> of the left half"), ItemError);
}

}  // namespace
}  // namespace mmbatch
