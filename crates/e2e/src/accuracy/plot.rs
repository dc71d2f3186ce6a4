//! Pictures of error against current.

use std::{error::Error, path::Path};

use plotters::prelude::*;

/// Smallest error that is shown, in percent.
const LOWEST_PERCENT: f64 = 1e-6;
/// Largest error that is shown, in percent.
const HIGHEST_PERCENT: f64 = 100.0;
const SIZE: (u32, u32) = (760, 420);

/// One line: a name and its points, current as a multiple of nominal and error in percent.
pub type Series<'a> = (&'a str, Vec<(f64, f64)>);

/// Colours that are told apart by all readers, in the order of the series.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(90, 90, 90),
    RGBColor(0, 158, 115),
];

/// Draws lines and a limit to an SVG file; both axes are logarithmic.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(
    file: &Path,
    title: &str,
    series: &[Series<'_>],
    limit: &Series<'_>,
) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || series.iter().flat_map(|(_, points)| points);
    let lowest = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let highest = points().map(|point| point.0).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (lowest..highest).log_scale(),
            (LOWEST_PERCENT..HIGHEST_PERCENT).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("current, multiple of nominal; the last point is the highest current")
        .y_desc("error of energy, %")
        .y_label_formatter(&|percent| format!("{percent}"))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for ((name, points), colour) in series.iter().zip(COLOURS) {
        let line = points
            .iter()
            .map(|&(x, percent)| (x, percent.abs().clamp(LOWEST_PERCENT, HIGHEST_PERCENT)));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .draw_series(DashedLineSeries::new(
            limit.1.iter().copied(),
            6,
            4,
            BLACK.stroke_width(1),
        ))?
        .label(limit.0)
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.stroke_width(1)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
