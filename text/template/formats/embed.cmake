# Makes a C++ file of the built-in turn formats, for text/template/built_in_formats.h.
#   cmake -DFOLDER=<this folder> -DOUT=<file.cpp> -P embed.cmake

# In the order in which messages list them.
set(names plain line user_assistant user_assistant_curious_human user_assistant_curious_user inst inst_sys sys_inst
    start_of_turn pipe_roles)
# No bracket or semicolon of the files means anything to CMake here: they are read and written as they are.
file(READ ${FOLDER}/shared.jinja shared)
string(CONCAT text
  "// Made by text/template/formats/embed.cmake.\n"
  "#include \"text/template/built_in_formats.h\"\n\n"
  "namespace mmbatch {\n\n"
  "const char* const kSharedTemplate = R\"embedded(${shared})embedded\";\n\n"
  "const std::vector<BuiltInFormat>& built_in_formats() {\n"
  "  static const std::vector<BuiltInFormat> formats = {\n")
foreach(name IN LISTS names)
  file(READ ${FOLDER}/${name}.jinja source)
  string(APPEND text "      {\"${name}\", R\"embedded(${source})embedded\"},\n")
endforeach()
string(APPEND text "  };\n  return formats;\n}\n\n}  // namespace mmbatch\n")
file(WRITE ${OUT} "${text}")
