# Makes a C++ file of the report's style sheet and script, for jobs/report/report_assets.h.
#   cmake -DFOLDER=<this folder> -DOUT=<file.cpp> -P embed.cmake

# No bracket or semicolon of the files means anything to CMake here: they are read and written as they are.
file(READ ${FOLDER}/report.css style)
file(READ ${FOLDER}/report.js script)
string(CONCAT text
  "// Made by jobs/report/assets/embed.cmake.\n"
  "#include \"jobs/report/report_assets.h\"\n\n"
  "namespace mmbatch {\n\n"
  "const char* const kReportStyle = R\"embedded(\n${style})embedded\";\n\n"
  "const char* const kReportScript = R\"embedded(\n${script})embedded\";\n\n"
  "}  // namespace mmbatch\n")
file(WRITE ${OUT} "${text}")
