module compat/gojob

go 1.24
