//! Pictures: what a store holds over time by tier, and bytes by code.

use std::{error::Error, path::Path};

use plotters::prelude::*;

use super::endurance::Point;

const SIZE: (u32, u32) = (760, 400);
/// Colours that are told apart by all readers: full resolution, minutes, quarters of an hour.
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(150, 150, 150),
];
const NAMES: [&str; 3] = ["every 10 s", "every minute", "every quarter of an hour"];

/// Draws the days held, coarsest tier at the bottom, to an SVG file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw_course(file: &Path, course: &[Point]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let last = course.last().map_or(1.0, |point| point.day);
    let held = |point: &Point| point.days.iter().sum::<f64>();
    let most = course.iter().map(held).fold(last, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "What a store of 1.9 MB holds when nobody collects",
            ("sans-serif", 16),
        )
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..last, 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("days since the first reading")
        .y_desc("days held")
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for tier in 0..3 {
        // A band from what the coarser tiers hold up to what they hold with this one.
        let edge = |point: &Point, from: usize| (point.day, point.days[from..].iter().sum());
        let upper = course.iter().map(|point| edge(point, tier));
        let lower = course.iter().rev().map(|point| edge(point, tier + 1));
        let corners: Vec<(f64, f64)> = [(0.0, 0.0)].into_iter().chain(upper).chain(lower).collect();
        let colour = COLOURS[tier];
        chart
            .draw_series([Polygon::new(corners, colour.mix(0.8).filled())])?
            .label(NAMES[tier])
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// Draws a bar for each name and number of bytes to an SVG file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw_bytes(file: &Path, bars: &[(&str, f64)]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let most = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
    let rows = bars.len() as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Bytes for P, Q, V and I of a reading of the household",
            ("sans-serif", 16),
        )
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(10)
        .build_cartesian_2d(0.0..most * 1.1, 0.0..rows)?;
    chart
        .configure_mesh()
        .x_desc("bytes")
        .disable_y_mesh()
        .y_labels(0)
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for (index, (name, bytes)) in bars.iter().enumerate() {
        let bottom = rows - 1.0 - index as f64;
        let colour = COLOURS[if index == 0 { 0 } else { 2 }];
        let corners = [(0.0, bottom + 0.2), (*bytes, bottom + 0.8)];
        chart.draw_series([Rectangle::new(corners, colour.mix(0.8).filled())])?;
        let text = format!("{name}: {bytes:.2}");
        chart.draw_series([Text::new(
            text,
            (most * 0.01, bottom + 0.6),
            ("sans-serif", 15),
        )])?;
    }
    root.present()?;
    Ok(())
}
