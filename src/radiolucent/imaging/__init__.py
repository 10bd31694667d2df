"""What a study is: instances, pixels, volumes, geometry, heatmaps."""
