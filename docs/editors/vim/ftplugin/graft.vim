" Comments, indentation, :make and gq for .graft files.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:#
setlocal expandtab shiftwidth=2 softtabstop=2
setlocal makeprg=graft\ check\ %:S
setlocal errorformat=%f:%l:%c:\ %trror:\ %m,%f:%l:%c:\ %tarning:\ %m,
setlocal errorformat+=%f:%l:%c:\ %tote:\ %m,%-G%.%#
setlocal formatprg=graft\ fmt\ -

let b:undo_ftplugin = "setlocal commentstring< comments< expandtab< "
      \ . "shiftwidth< softtabstop< makeprg< errorformat< formatprg<"
