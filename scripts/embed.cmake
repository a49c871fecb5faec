# Writes a C file with the library's .graft files as strings:
#   cmake -DOUT=stdlib.c "-DFILES=a.graft;b.graft" -P embed.cmake
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
file(WRITE ${OUT} "#include \"compiler/stdlib.h\"\n${arrays}\
const LibraryFile library[] = {\n${rows}    {0, 0}};\n")
