module causeway/render-chart

go 1.21
