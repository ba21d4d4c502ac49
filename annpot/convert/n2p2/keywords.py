"""The keywords of input.nn: those of n2p2 2.3.0 and of RuNNer, and what they mean here.

n2p2 warns of a keyword that it does not know and goes on; RuNNer stops. Here only those
matter that decide about energies, and those that annpot cannot express are told.
"""

from __future__ import annotations

ALIASES = {
    "nnp_generation": "nnp_type",
    "nnp_type_gen": "nnp_type",
    "nnp_gen": "nnp_type",
    "nn_type": "nnp_type",
    "short_energy_error_threshold": "rmse_threshold_energy",
    "short_force_error_threshold": "rmse_threshold_force",
    "short_energy_fraction": "energy_fraction",
    "short_force_fraction": "force_fraction",
    "symfunction": "symfunction_short",
    "global_nodes_short_atomic": "global_nodes_short",
    "scale_min_short_atomic": "scale_min_short",
    "scale_max_short_atomic": "scale_max_short",
    "global_symfunction_short_atomic": "global_symfunction_short",
}
"""Other names of keywords."""

POTENTIAL = frozenset(
    """
    number_of_elements elements atom_energy cutoff_type cutoff_alpha symfunction_short
    scale_symmetry_functions scale_min_short scale_max_short center_symmetry_functions
    scale_symmetry_functions_sigma global_hidden_layers_short global_nodes_short
    global_activation_short element_hidden_layers_short element_nodes_short
    element_activation_short normalize_nodes mean_energy conv_length conv_energy
    nnp_type nn_type_short
    """.split()
)
"""Keywords that decide about energies, all of which are understood."""

TRAINING = frozenset(
    """
    random_seed random_number_type test_fraction epochs normalize_data_set
    use_short_forces use_short_nn rmse_threshold rmse_threshold_energy
    rmse_threshold_force rmse_threshold_charge rmse_threshold_trials
    rmse_threshold_trials_energy rmse_threshold_trials_force
    rmse_threshold_trials_charge energy_fraction force_fraction force_energy_ratio
    charge_fraction use_old_weights_short use_old_weights_charge use_old_scaling
    weights_min weights_max nguyen_widrow_weights_short nguyen_widrow_weights_charge
    nguyen_widrow_weights_ewald precondition_weights main_error_metric
    write_trainpoints write_trainforces write_traincharges write_weights_epoch
    write_neuronstats write_trainlog write_pdb write_pov write_fit_statistics
    write_pwscf write_symfunctions write_binding_energy_only write_temporary_weights
    write_unformatted write_xyz repeated_energy_update updater_type
    parallel_mode jacobian_mode update_strategy selection_mode selection_mode_energy
    selection_mode_force selection_mode_charge task_batch_size_energy
    task_batch_size_force task_batch_size_charge gradient_type gradient_eta
    gradient_adam_eta gradient_adam_beta1 gradient_adam_beta2 gradient_adam_epsilon
    kalman_type kalman_epsilon kalman_eta kalman_etatau kalman_etamax kalman_q0
    kalman_qtau kalman_qmin kalman_lambda_short kalman_nue_short kalman_lambda_charge
    kalman_nue_charge kalman_damp_short kalman_damp_force kalman_damp_charge
    kalman_lambda_charge_constraint kalman_nue_charge_constraint
    memorize_symfunc_results force_weight runner_mode analyze_composition
    analyze_error analyze_error_charge_step analyze_error_energy_step
    analyze_error_force_step biasweights_max biasweights_min bond_threshold
    calculate_final_force calculate_forces calculate_hessian calculate_stress
    charge_error_threshold charge_group charge_update_scaling check_forces
    check_input_forces data_clustering debug_mode detailed_timing
    detailed_timing_epoch detect_saturation dynamic_force_grouping
    element_decoupled_forces_v2 element_decoupled_kalman enable_on_the_fly_input
    energy_threshold enforce_max_num_neighbors_atomic enforce_totcharge
    environment_analysis ewald_alpha ewald_cutoff ewald_kmax ewald_prec
    find_contradictions fitmode fitting_unit fix_weights
    fixed_short_energy_error_threshold fixed_short_force_error_threshold
    force_grouping_by_structure force_threshold force_update_scaling growth_mode
    initialization_only ion_forces_only joint_energy_force_update max_energy max_force
    md_mode mix_all_points noise_charge noise_energy noise_force optmode_charge
    optmode_short_energy optmode_short_force points_in_memory nblock prepare_md
    print_all_deshortdw print_all_dfshortdw print_all_electrostatic_weights
    print_all_short_weights print_convergence_vector print_date_and_time
    print_force_components print_mad print_sensitivity random_order_training
    read_kalman_matrices read_unformatted remove_atom_energies reset_kalman
    restrict_weights save_kalman_matrices separate_bias_ini_short
    separate_kalman_short short_energy_group short_force_group
    shuffle_weights_short_atomic silent_mode steepest_descent_step_charge
    steepest_descent_step_energy_short steepest_descent_step_force_short
    symfunction_correlation total_charge_error_threshold update_single_element
    update_worst_charges update_worst_short_energies update_worst_short_forces
    use_atom_charges use_atom_energies use_charge_constraint use_ipi use_noisematrix
    use_omp_mkl use_systematic_weights_electrostatic use_systematic_weights_short
    use_damping weightse_min weightse_max weights_constraint_short worst_fraction
    """.split()
)
"""Keywords of training and of output: energies do not depend on them."""

SEVERAL = frozenset(
    """
    symfunction_short atom_energy element_nodes_short element_activation_short
    element_hidden_layers_short analyze_composition fixed_charge fixed_gausswidth
    initial_hardness global_symfunction_short element_symfunction_short
    """.split()
)
"""Keywords that may stand in several lines."""

CHARGES = "belongs to a potential with charges, which annpot cannot express"

REFUSED = {
    **dict.fromkeys(
        """
        use_electrostatics use_electrostatic_nn electrostatic_type nn_type_elec
        use_fixed_charges fixed_charge use_gausswidth fixed_gausswidth initial_hardness
        screen_electrostatics four_pi_epsilon ewald_truncation_error_method conv_charge
        symfunction_electrostatic global_symfunction_electrostatic
        global_symfunction_elec element_symfunction_electrostatic
        global_hidden_layers_electrostatic global_nodes_electrostatic
        global_activation_electrostatic element_hidden_layers_electrostatic
        element_nodes_electrostatic element_activation_electrostatic
        scale_min_elec scale_max_elec
        """.split(),
        CHARGES,
    ),
    **dict.fromkeys(
        "use_vdw vdw_type vdw_screening vdw_radius vdw_cutoff vdw_coefficient".split(),
        "adds dispersion, which annpot cannot express",
    ),
    **dict.fromkeys(
        "committee_mode committee_size use_committee".split(),
        "makes a committee: convert its members one by one",
    ),
    **dict.fromkeys(
        """
        pairsymfunction_short global_pairsymfunction_short element_pairsymfunction_short
        global_symfunction_short_pair global_hidden_layers_pair global_nodes_pair
        global_nodes_short_pair global_activation_pair element_hidden_layers_pair
        element_nodes_pair element_activation_pair scale_min_short_pair
        scale_max_short_pair
        """.split(),
        "belongs to networks of pairs of atoms, which annpot cannot express",
    ),
    **dict.fromkeys(
        "global_symfunction_short element_symfunction_short".split(),
        "stands for many functions: write them one by one as symfunction_short "
        "(RuNNer lists them)",
    ),
}
"""Keywords of potentials that annpot cannot express, and why."""

SUSPICIOUS = (
    "charge elec ewald coulomb hardness gausswidth vdw disp repuls zbl pair ham "
    "committee spin magnet symfunction cutoff energy_shift offset"
).split()
"""Parts of the names of unknown keywords that may well change energies."""
