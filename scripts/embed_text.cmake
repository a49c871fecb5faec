# Writes a C file with files' texts as strings text_NAME:
#   cmake -DOUT=texts.c "-DFILES=a.c;b.h" -P embed_text.cmake
set(arrays "")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," body "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" body "${body}")
  string(APPEND arrays "extern const char text_${name}[];\nconst char text_${name}[] = {\n${body}0};\n")
endforeach()
file(WRITE ${OUT} "${arrays}")
