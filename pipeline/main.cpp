#include "pipeline/commands/command_line.h"
#include "vision/image/helper/image_helper.h"

int main(int argc, char** argv) {
  if (argc == 2 && argv[1] == mmbatch::kImageHelperArgument) return mmbatch::serve_as_image_helper();
  return mmbatch::run_command_line(argc, argv);
}
