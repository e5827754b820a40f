# Holds the includes of every layer to the table of the design: a layer may include itself and what stands above
# it, foreign headers stand in .cpp files of the layers that own them, and no model family is named outside
# fusion/families.   cmake -DROOT=<project> -P check_layers.cmake

cmake_minimum_required(VERSION 3.25)
set(problems "")

# layer | layers it may include | foreign headers it may include (regular expressions)
set(table
  "engine/base|engine/base|oneapi/tbb/.*,nlohmann/.*,openssl/.*,utf8proc\\.h"
  "engine/weights|engine/base,engine/weights|nlohmann/.*"
  "engine/kernels|engine/base,engine/weights,engine/kernels|dnnl.*,cblas\\.h,omp\\.h"
  "engine/parallel|engine/base,engine/parallel|mpi\\.h"
  "engine/nn|engine/base,engine/weights,engine/kernels,engine/parallel,engine/nn|"
  "engine/decoder|engine/base,engine/weights,engine/kernels,engine/parallel,engine/nn,engine/decoder|"
  "engine/serve|engine/base,engine/weights,engine/kernels,engine/parallel,engine/nn,engine/decoder,engine/serve|"
  "vision|engine/base,engine/weights,engine/kernels,engine/nn,vision|opencv2/.*,nlohmann/.*,png\\.h,jpeglib\\.h,jerror\\.h,tiffio\\.h,webp/.*,gif_lib\\.h,libheif/.*,jxl/.*,openjpeg\\.h,seccomp\\.h,zlib\\.h,poppler-.*,libav.*,libswscale/.*"
  "text|engine/base,engine/weights,engine/kernels,engine/nn,text|sentencepiece.*,nlohmann/.*,pcre2\\.h,unicode/.*"
  "fusion|engine/base,engine/weights,engine/kernels,engine/parallel,engine/nn,engine/decoder,vision,text,fusion|nlohmann/.*"
  "jobs|engine/base,jobs|yaml-cpp/.*,nlohmann/.*,sqlite3\\.h,pcre2\\.h,zlib\\.h,openssl/.*,utf8proc\\.h,archive\\.h,archive_entry\\.h"
  "pipeline|engine/.*,vision,text,fusion,jobs,pipeline|oneapi/tbb/.*,CLI/.*")
set(owned "mpi\\.h|oneapi/|nlohmann/|dnnl|cblas|omp\\.h|opencv2/|sentencepiece|yaml-cpp/|sqlite3|pcre2|zlib|openssl/|utf8proc|unicode/|CLI/|png\\.h|jpeglib\\.h|jerror\\.h|tiffio\\.h|webp/|gif_lib\\.h|libheif/|jxl/|openjpeg\\.h|seccomp\\.h|archive|poppler-|libav|libswscale")

foreach(line ${table})
  string(REPLACE "|" ";" parts "${line}")
  list(GET parts 0 layer)
  list(GET parts 1 allowed)
  list(GET parts 2 foreign)
  string(REPLACE "," "|" allowed "${allowed}")
  string(REPLACE "," "|" foreign "${foreign}")
  file(GLOB_RECURSE files ${ROOT}/${layer}/*.h ${ROOT}/${layer}/*.cpp)
  foreach(file ${files})
    file(RELATIVE_PATH name ${ROOT} ${file})
    file(STRINGS ${file} includes REGEX "^#include")
    foreach(include ${includes})
      if(include MATCHES "^#include \"(.*)/[^/]+\"")
        set(from ${CMAKE_MATCH_1})
        if(NOT from MATCHES "^(${allowed})(/.*)?$")
          list(APPEND problems "${name}: a file of ${layer} may not include ${from}")
        endif()
      elseif(include MATCHES "^#include <(.*)>")
        set(header ${CMAKE_MATCH_1})
        # json_fwd.hpp declares a type, and no more.
        if(header MATCHES "^(fmt|spdlog|${owned})" AND name MATCHES "\\.h$"
           AND NOT header STREQUAL "nlohmann/json_fwd.hpp")
          list(APPEND problems "${name}: <${header}> belongs into a .cpp file")
        elseif(header MATCHES "^(${owned})" AND NOT (foreign AND header MATCHES "^(${foreign})$"))
          list(APPEND problems "${name}: a file of ${layer} may not include <${header}>")
        endif()
      endif()
    endforeach()
    # GGUF names its ways to cut texts into pieces by the models that had them first; transformers names classes of
    # tokenizers so.
    if(name MATCHES "^text/tokenizer/(gguf/pre_tokenizers|json/tokenizer_classes)\\.cpp$")
      continue()
    endif()
    if(NOT layer STREQUAL "fusion" OR NOT name MATCHES "^fusion/(families/|family\\.cpp)")
      file(READ ${file} text)
      string(TOLOWER "${text}" text)
      if(text MATCHES "(llava|paligemma|siglip|mistral|gemma|qwen|smollm|granite|olmo)")
        list(APPEND problems "${name}: names the model family ${CMAKE_MATCH_1}")
      endif()
    endif()
  endforeach()
endforeach()

# The rooms of jobs stand in an order: each may include those before it, so that there are no circles.
set(rooms text item media metrics listing manifest output results pieces batch merge query eval report status)
foreach(room ${rooms})
  list(APPEND before ${room})
  file(GLOB files ${ROOT}/jobs/${room}/*.h ${ROOT}/jobs/${room}/*.cpp)
  foreach(file ${files})
    file(STRINGS ${file} includes REGEX "^#include \"jobs/")
    foreach(include ${includes})
      string(REGEX REPLACE "^#include \"jobs/([^/]+)/.*" "\\1" from "${include}")
      if(NOT from IN_LIST before)
        file(RELATIVE_PATH name ${ROOT} ${file})
        list(APPEND problems "${name}: jobs/${room} may not include jobs/${from}, which stands after it")
      endif()
    endforeach()
  endforeach()
endforeach()
file(GLOB folders LIST_DIRECTORIES true RELATIVE ${ROOT}/jobs ${ROOT}/jobs/*)
foreach(folder ${folders})
  if(NOT folder IN_LIST rooms)
    list(APPEND problems "jobs/${folder}: has no place in the order of the rooms")
  endif()
endforeach()

# A room is small enough to be seen at a glance.
set(most 20)
foreach(top pipeline vision text fusion engine jobs bench)
  file(GLOB_RECURSE entries LIST_DIRECTORIES true ${ROOT}/${top}/*)
  foreach(folder ${ROOT}/${top} ${entries})
    if(IS_DIRECTORY ${folder})
      file(GLOB sources ${folder}/*.h ${folder}/*.cpp)
      list(LENGTH sources count)
      if(count GREATER most)
        file(RELATIVE_PATH name ${ROOT} ${folder})
        list(APPEND problems "${name}: ${count} sources in one folder, ${most} are allowed")
      endif()
    endif()
  endforeach()
endforeach()

if(problems)
  list(JOIN problems "\n  " text)
  message(FATAL_ERROR "The layers are not kept:\n  ${text}")
endif()
