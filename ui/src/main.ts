// First of all, because the chart library breaks on a broken browser language while it loads.
import './repair-language';

import { mount } from 'svelte';
import 'uplot/dist/uPlot.min.css';
import './app.css';
import App from './App.svelte';

mount(App, { target: document.getElementById('app')! });
