#include "pipeline/commands/command_line.h"

int main(int argc, char** argv) {
  return mmbatch::run_command_line(argc, argv);
}
