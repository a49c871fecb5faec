# Writes a C file with files as strings, by default the library's:
#   cmake -DOUT=stdlib.c "-DFILES=a.graft;b.graft" -P embed.cmake
# HEADER, TYPE and TABLE name another table and what declares it.
if(NOT HEADER)
  set(HEADER compiler/stdlib.h)
  set(TYPE LibraryFile)
  set(TABLE library)
endif()
set(arrays "")
set(rows "")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," body "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" body "${body}")
  string(APPEND arrays "static const char text_${name}[] = {\n${body}0};\n")
  string(APPEND rows "    {\"${name}\", text_${name}},\n")
endforeach()
file(WRITE ${OUT} "#include \"${HEADER}\"\n${arrays}\
const ${TYPE} ${TABLE}[] = {\n${rows}    {0, 0}};\n")
