#include "pipeline/inspect/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Diagnosis healthy() {
  Diagnosis found;
  found.machine = {.processor = "a processor",
                   .cores = 8,
                   .cpu_limit = {},
                   .memory = std::size_t{16} << 30,
                   .memory_available = std::size_t{8} << 30,
                   .memory_limit = {}};
  found.instruction_set = "avx512-vnni-bf16";
  found.levels_here = {"avx512-vnni-bf16", "avx2", "portable"};
  found.levels_missing = {"avx-vnni"};
  found.products = {{"f32", "onednn"}, {"int8", "int8_panel"}};
  found.openblas_core = "SkylakeX";
  return found;
}

TEST(Doctor, FindsNothingWrongWithAGoodMachine) {
  EXPECT_THAT(problems(healthy()), IsEmpty());
  EXPECT_TRUE(healthy().usable());
  EXPECT_THAT(to_text(healthy()), HasSubstr("problems    none"));
  EXPECT_THAT(to_text(healthy()), HasSubstr("here      avx512-vnni-bf16, avx2, portable\n"));
  EXPECT_THAT(to_text(healthy()), HasSubstr("missing   avx-vnni\n"));
}

TEST(Doctor, SaysWhatSlowsARunDown) {
  Diagnosis old = healthy();
  old.instruction_set = "avx2";
  EXPECT_THAT(problems(old), ElementsAre(HasSubstr("does not multiply bfloat16")));
  old.instruction_set = "avx512-vnni";
  EXPECT_THAT(problems(old), ElementsAre(HasSubstr("avx512-vnni serves instead of avx512-vnni-bf16")));
  old.levels_here.erase(old.levels_here.begin());
  EXPECT_THAT(problems(old), ElementsAre(HasSubstr("does not multiply bfloat16")));
  old.instruction_set = "portable";
  EXPECT_THAT(problems(old), ElementsAre(HasSubstr("no AVX2")));
  old.instruction_set = "avx512-vnni-bf16-amx";
  EXPECT_THAT(problems(old), IsEmpty());

  Diagnosis refused = healthy();
  refused.amx_refusal = "Operation not supported";
  EXPECT_THAT(problems(refused),
              ElementsAre(AllOf(HasSubstr("AMX"), HasSubstr("(Operation not supported)"))));
  refused.instruction_set = "avx512-vnni";
  EXPECT_THAT(problems(refused), ElementsAre(HasSubstr("without AMX"), HasSubstr("the processor has AMX")));

  Diagnosis forced = healthy();
  forced.forced_instruction_set = "avx2";
  forced.forced_openblas_core = "Haswell";
  EXPECT_THAT(problems(forced),
              ElementsAre(HasSubstr("MMBATCH_ISA=avx2"), HasSubstr("OPENBLAS_CORETYPE=Haswell")));

  Diagnosis container = healthy();
  container.machine.cpu_limit = 2.5;
  container.machine.memory_limit = std::size_t{1} << 29;
  EXPECT_THAT(problems(container), ElementsAre(HasSubstr("--threads 2"), HasSubstr("only 512.0 MiB")));
  EXPECT_TRUE(container.usable());
}

TEST(Doctor, SaysWhichDecodersAreMissing) {
  EXPECT_THAT(diagnose().helper_problems, IsEmpty());
  Diagnosis incomplete = healthy();
  incomplete.helper_problems = {"the image codec libmmbatch_video_codec.so cannot be loaded"};
  EXPECT_THAT(problems(incomplete), ElementsAre(HasSubstr("libmmbatch_video_codec.so")));
  EXPECT_TRUE(incomplete.usable()) << "without videos";
}

TEST(Doctor, SaysWhatMakesRunsImpossible) {
  Diagnosis broken = healthy();
  broken.image_problem = "the image decoder cannot be loaded";
  EXPECT_FALSE(broken.usable());
  EXPECT_THAT(problems(broken), ElementsAre("the image decoder cannot be loaded"));
  broken = healthy();
  broken.products[1].second = "";
  EXPECT_FALSE(broken.usable());
  EXPECT_THAT(problems(broken), ElementsAre(HasSubstr("--precision int8")));
}

TEST(Doctor, DescribesThisMachine) {
  const ProgramEnd outcome = program("doctor");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  for (const char* part : {"mmbatch 0.", "processor", " core", "GiB", "f32", "w4a16", "can be decoded",
                           "oneDNN 2.", "OpenBLAS 0.", "oneTBB 2021.", "SQLite 3.", "OpenCV 4.",
                           "sentencepiece 0.", "compute a model together", "problems"})
    EXPECT_THAT(outcome.text, HasSubstr(part));
  const MachineInfo machine = this_machine();
  EXPECT_GE(machine.cores, 1u);
  EXPECT_GT(machine.memory_available, 0u);
  EXPECT_LE(machine.memory_available, machine.memory);
}

TEST(Doctor, NamesAnInstructionSetThatIsNotThere) {
  const ProgramEnd outcome = program_with("MMBATCH_ISA=avx1024", "doctor");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("MMBATCH_ISA=avx1024"), HasSubstr("portable")));
}

}  // namespace
}  // namespace mmbatch
