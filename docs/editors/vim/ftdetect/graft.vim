" Files that are graft's.
autocmd BufRead,BufNewFile *.graft setfiletype graft
