#include <csignal>

#include "pipeline/commands/command_line.h"
#include "vision/image/helper/image_helper.h"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // what would be too large for its limit is told as a full disk is
  if (const auto kind = mmbatch::helper_asked_for(argc, argv)) return mmbatch::serve_as_helper(*kind);
  return mmbatch::run_command_line(argc, argv);
}
